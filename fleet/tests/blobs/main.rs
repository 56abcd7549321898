//! Blobs in memory, in a folder and in a bucket: one behaviour. And whole jobs over them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod damage;
mod job;
mod suite;
#[path = "../support/mod.rs"]
mod support;

use bytes::Bytes;
use starkwright_fleet::FleetError;
use starkwright_fleet::blobs::Blobs;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().join("blobs").display());
    (folder, url)
}

#[test]
fn blobs_in_memory() {
    block_on(suite::all("memory:"));
}

#[test]
fn blobs_in_a_folder() {
    let (_folder, url) = folder();
    block_on(suite::all(&url));
}

#[test]
fn blobs_in_a_bucket() {
    if let Some(url) = support::s3::bucket("blobs_in_a_bucket", &[]) {
        block_on(suite::all(&url));
        block_on(suite::prefixes_are_apart(&url));
    }
}

#[test]
fn damage_in_a_folder_is_found_and_healed() {
    let (_folder, url) = folder();
    block_on(damage::is_found_and_healed(&url));
}

#[test]
fn damage_in_a_bucket_is_found_and_healed() {
    if let Some(url) = support::s3::bucket("damage_in_a_bucket_is_found_and_healed", &[]) {
        block_on(damage::is_found_and_healed(&url));
    }
}

#[test]
fn a_damaged_input_is_uploaded_again() {
    let (_folder, url) = folder();
    block_on(job::a_damaged_input_is_uploaded_again(&url));
}

#[test]
fn a_lost_proof_is_made_again() {
    let (_folder, url) = folder();
    block_on(job::a_lost_proof_is_made_again(&url));
}

#[test]
fn a_job_over_a_folder() {
    let (_folder, url) = folder();
    block_on(job::whole(&url));
}

#[test]
fn a_job_over_a_bucket() {
    if let Some(url) = support::s3::bucket("a_job_over_a_bucket", &[]) {
        block_on(job::whole(&url));
    }
}

#[test]
fn without_tls_a_bucket_is_used_only_where_that_is_allowed() {
    let name = "without_tls_a_bucket_is_used_only_where_that_is_allowed";
    if let Some(url) = support::s3::bucket(name, &[("AWS_ALLOW_HTTP", "false")]) {
        let error = block_on(async {
            let blobs = Blobs::open(&url)?;
            blobs.put(Bytes::from_static(b"in the clear")).await
        });
        let error = error.unwrap_err();
        println!("{error}");
        assert!(matches!(error, FleetError::Settings { .. }), "{error}");
        assert!(error.to_string().contains("AWS_ALLOW_HTTP"), "{error}");
    }
}
