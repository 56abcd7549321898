#!/usr/bin/env bash
# Installs, finds and describes the OpenCL runtimes that the tests run on, and what else the tests need of the system:
# PostgreSQL, a queue's database (a server of the tests' own, never the system's), moto's server, which speaks S3, and a browser
# for the status page.
#
#   scripts/runtimes.sh install              installs what is missing, then describes and checks every runtime
#   scripts/runtimes.sh check                only describes and checks what is there
#   scripts/runtimes.sh exec NAME COMMAND..  runs COMMAND on one runtime alone, or on `all` (exit 4: it is missing)
#
# pocl, rusticl and oclgrind come from the system's package manager (Debian's names); intel is Intel's CPU
# runtime, two wheels under Intel's own licence, put by pip in a virtual environment below the target folder; so is
# moto's server (Apache-2.0), in another one.
# Nothing outside the target folder is changed but by the package manager.
#
#   target/opencl/icd/NAME/NAME.icd   the one driver that the ICD loader is shown (OCL_ICD_VENDORS names the folder)
#   target/opencl/env/NAME.env        the runtime's environment, to be sourced; written only once the runtime answered
#   target/opencl/s3                  the virtual environment with moto's server
#   target/opencl/missing.txt         one line for each thing that is missing, and what to do about it
#
# Exit status: 0 all there, 1 something is missing, 2 bad usage.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly runtimes=(pocl intel rusticl oclgrind)
# intel-opencl-rt names tbb and the licence files as its needs, but not the compiler's libraries, without
# which its platform vanishes with no message.
readonly wheels=(intel-opencl-rt==2026.2.0 intel-cmplr-lib-rt==2026.2.0)
# moto[server] would bring every service of AWS' and what it needs.
readonly s3_wheels=('moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5)

mkdir -p "${CARGO_TARGET_DIR:-target}/opencl"
home=$(cd "${CARGO_TARGET_DIR:-target}/opencl" && pwd)
readonly home
readonly intel=$home/intel
readonly s3=$home/s3

say() { printf 'runtimes: %s\n' "$*"; }
missing() {
    printf '%s\n' "$*" >>"$home/missing.txt"
    printf 'missing: %s\n' "$*"
}

# --- where things are -----------------------------------------------------------------------------

# The linker finds libOpenCL. Only hw-tests needs that (its second way to launch kernels links the library).
loader_links() { [ "$(cc -print-file-name=libOpenCL.so 2>/dev/null)" != libOpenCL.so ]; }

# The line for a runtime's .icd file: what the system's own file says, or the driver's path; nothing where it is missing.
driver() {
    case $1 in
        pocl | rusticl) head -q -n 1 "/etc/OpenCL/vendors/$1.icd" 2>/dev/null || true ;;
        # The wheel's own .icd file names a path of the machine that it was packed on.
        intel) find "$intel/lib" -maxdepth 1 -name libintelocl.so 2>/dev/null || true ;;
        # Debian registers no .icd file for Oclgrind, and its launcher (`oclgrind COMMAND`) crashes programs that
        # load the OpenCL library at run time: it is used as a driver like any other.
        oclgrind)
            local launcher
            launcher=$(command -v oclgrind) || return 0
            find "$(dirname "$launcher")"/../lib*/ -maxdepth 3 -name liboclgrind-rt-icd.so 2>/dev/null |
                head -n 1 || true
            ;;
    esac
}

# --- installing -----------------------------------------------------------------------------------

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Python with what `python -m venv` needs (Debian packs ensurepip apart).
python_makes_venvs() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

wanted_packages() {
    loader_links || echo ocl-icd-opencl-dev
    [ -n "$(driver pocl)" ] || echo pocl-opencl-icd
    [ -n "$(driver rusticl)" ] || echo mesa-opencl-icd
    [ -n "$(driver oclgrind)" ] || echo oclgrind
    command -v clinfo >/dev/null || echo clinfo
    python_makes_venvs || echo python3 python3-venv
    has_postgres || echo postgresql
    has_browser || echo chromium fonts-dejavu-core
}

# Debian keeps the server's programs out of the path.
has_postgres() { [ -n "$(find /usr/lib/postgresql -name initdb 2>/dev/null)" ] || command -v initdb createdb >/dev/null; }

# The page's test says so and passes without one.
has_browser() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }

install_packages() {
    local wanted
    wanted=$(wanted_packages | tr '\n' ' ')
    [ -n "$wanted" ] || return 0
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: install by hand what Debian calls: $wanted"
        return 0
    fi
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        say "neither root nor passwordless sudo: an administrator would run: apt-get install --no-install-recommends $wanted"
        return 0
    fi
    say "apt-get install $wanted"
    as_root apt-get update -qq || say "apt-get update failed; trying with the lists that are here"
    # One at a time where all at once fails, so that one unknown name does not lose the others.
    # shellcheck disable=SC2086  # a list of words
    install_debs $wanted || for package in $wanted; do
        install_debs "$package" || say "apt-get could not install $package"
    done
}

install_debs() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}

# install_wheels FOLDER WHEEL..: into a virtual environment. A stamp, written last, tells a finished installation of these
# versions from one that was cut off.
install_wheels() {
    local folder=$1
    shift
    [ "$(cat "$folder/starkwright-installed" 2>/dev/null)" != "$*" ] || return 0
    if ! python_makes_venvs; then
        say "no Python with venv and pip: cannot install $*"
        return 0
    fi
    say "pip install $*"
    rm -rf "$folder"
    if python3 -m venv "$folder" &&
        "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 2 --timeout 60 "$@"; then
        printf '%s\n' "$*" >"$folder/starkwright-installed"
    else
        say "pip could not install $* (no network, or no wheel for this machine)"
    fi
}

# --- describing and checking ----------------------------------------------------------------------

# What every runtime needs where the system has no ICD loader: Intel's wheel carries one, which wants its neighbours.
loader_environment() {
    if ! loader_links && [ -e "$intel/lib/libOpenCL.so" ]; then
        printf 'export LIBRARY_PATH="%s"\n' "$intel/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
        printf 'export LD_LIBRARY_PATH="%s"\n' "$intel/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
}

runtime_environment() {
    printf 'export OCL_ICD_VENDORS="%s"\n' "$home/icd/$1"
    case $1 in
        pocl)
            printf 'export POCL_CACHE_DIR="%s"\n' "$home/cache/pocl"
            ;;
        rusticl)
            echo 'export RUSTICL_ENABLE=llvmpipe'
            printf 'export MESA_SHADER_CACHE_DIR="%s"\n' "$home/cache/rusticl"
            ;;
        oclgrind)
            echo 'export OCLGRIND_DATA_RACES=1'
            # The default, 1000, would let a planted race use up the messages of a real one.
            echo 'export OCLGRIND_MAX_ERRORS=1000000'
            # Optimised bit-reversal loops become an LLVM intrinsic that Oclgrind 21.10 does not know: fatal.
            echo 'export OCLGRIND_BUILD_OPTIONS=-cl-opt-disable'
            ;;
    esac
}

# In the environment of file $2, exactly one platform is seen, the expected one, with at least one device: prints it.
answers() {
    local platform listing
    case $1 in
        pocl) platform='Portable Computing Language' ;;
        intel) platform='Intel(R) OpenCL' ;;
        rusticl) platform='rusticl' ;;
        oclgrind) platform='Oclgrind' ;;
    esac
    # shellcheck disable=SC1090  # written by describe
    listing=$(. "$2" && timeout 60 clinfo --list 2>&1) || return 1
    [ "$(grep -c '^Platform #' <<<"$listing")" = 1 ] &&
        grep -qF "Platform #0: $platform" <<<"$listing" &&
        grep -q 'Device #0:' <<<"$listing" &&
        sed -n 's/.*Device #0: //p' <<<"$listing"
}

describe() {
    local name=$1 path device
    path=$(driver "$name")
    if [ -z "$path" ]; then
        case $name in
            intel) missing "intel: needs Python 3 with venv and pip, and a package index with ${wheels[*]}" ;;
            pocl) missing "pocl: apt-get install pocl-opencl-icd" ;;
            rusticl) missing "rusticl: apt-get install mesa-opencl-icd" ;;
            oclgrind) missing "oclgrind: apt-get install oclgrind" ;;
        esac
        return 0
    fi
    mkdir -p "$home/icd/$name" "$home/cache/$name"
    printf '%s\n' "$path" >"$home/icd/$name/$name.icd"
    {
        loader_environment
        runtime_environment "$name"
    } >"$home/env/$name.new"
    if ! command -v clinfo >/dev/null; then
        say "$name: $path, not checked for want of clinfo"
    elif device=$(answers "$name" "$home/env/$name.new"); then
        say "$name: $device"
    else
        missing "$name: its driver $path shows no device; see: OCL_ICD_VENDORS=$home/icd/$name clinfo"
        return 0
    fi
    mv "$home/env/$name.new" "$home/env/$name.env"
}

# Every driver at once, for measuring: the system's own (a GPU's among them) and Intel's. Not Mesa's Clover (mesa.icd),
# which Mesa gave up for rusticl.
describe_together() {
    local icd=$home/icd/all file
    mkdir -p "$icd"
    for file in /etc/OpenCL/vendors/*.icd "$home/icd/intel/intel.icd"; do
        [ ! -e "$file" ] || [ "${file##*/}" = mesa.icd ] || cp "$file" "$icd/"
    done
    {
        loader_environment
        printf 'export OCL_ICD_VENDORS="%s"\n' "$icd"
    } >"$home/env/all.env"
}

describe_all() {
    rm -rf "$home/env" "$home/icd"
    mkdir -p "$home/env"
    : >"$home/missing.txt"
    loader_environment >"$home/env/loader.env"
    loader_links || [ -s "$home/env/loader.env" ] ||
        missing "loader: libOpenCL.so, to link hw-tests: apt-get install ocl-icd-opencl-dev"
    command -v clinfo >/dev/null || missing "clinfo: to check the runtimes: apt-get install clinfo"
    [ -e "$s3/starkwright-installed" ] ||
        missing "s3: for the blobs' tests: needs Python 3 with venv and pip, and a package index with ${s3_wheels[*]}"
    has_postgres || missing "postgresql: for the queue's tests: apt-get install postgresql"
    local name
    for name in "${runtimes[@]}"; do describe "$name"; done
    describe_together
    [ ! -s "$home/missing.txt" ]
}

# --- commands -------------------------------------------------------------------------------------

on_runtime() {
    local name=$1 why
    shift
    if [ ! -e "$home/env/$name.env" ]; then
        why=$(grep -s "^$name:" "$home/missing.txt") || why="$name: not installed; see: make runtimes"
        printf 'missing: %s\n' "$why" >&2
        exit 4
    fi
    # shellcheck disable=SC1090  # written by describe
    . "$home/env/$name.env"
    exec "$@"
}

case ${1:-} in
    install)
        install_packages
        install_wheels "$intel" "${wheels[@]}"
        install_wheels "$s3" "${s3_wheels[@]}"
        describe_all
        ;;
    check) describe_all ;;
    exec)
        [ $# -ge 3 ] || { echo "usage: $0 exec NAME COMMAND.." >&2; exit 2; }
        shift
        on_runtime "$@"
        ;;
    *)
        echo "usage: $0 install | check | exec NAME COMMAND.." >&2
        exit 2
        ;;
esac
