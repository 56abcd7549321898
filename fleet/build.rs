//! Compiles the protocol. protox reads `.proto` files in Rust: no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["starkwright/fleet.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
