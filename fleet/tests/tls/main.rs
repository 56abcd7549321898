//! The roles over TLS, with certificates made here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::Tls;
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::client::Client;
use starkwright_fleet::link::Address;
use starkwright_fleet::store::{JobState, Limits, MemoryStore};
use tokio::net::TcpListener;

use support::fleet::{Fleet, Prover, SUBMIT, WORK, file, settings, tick};
use support::toy::{Toy, ToyProver, Vice};

/// An authority of this test's own, in PEM, and a certificate for this name that it signed.
fn certificate(name: &str) -> (Vec<u8>, Tls) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signed = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let own = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let tls = Tls {
        certificate: own.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    };
    (signed.pem().into_bytes(), tls)
}

/// A certificate for this host that nobody else signed: it is the authority, too.
fn self_signed(is_ca: IsCa) -> (Vec<u8>, Tls) {
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    own.is_ca = is_ca;
    let pem = own.self_signed(&key).unwrap().pem().into_bytes();
    let tls = Tls {
        certificate: pem.clone(),
        key: key.serialize_pem().into_bytes(),
    };
    (pem, tls)
}

async fn fleet(tls: Option<Tls>) -> Fleet {
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let blobs = Blobs::open("memory:").unwrap();
    let toy = Arc::new(Toy {
        version: "1".to_owned(),
    });
    let settings = settings();
    Fleet::start_encrypted(store, blobs, vec![toy], settings, "127.0.0.1:0", tls).await
}

/// This host's aggregator by its name.
fn to(fleet: &Fleet, scheme: &str, authority: Option<Vec<u8>>) -> Address {
    Address {
        url: format!("{scheme}://localhost:{}", fleet.address.port()),
        token: Some(SUBMIT.to_owned()),
        authority,
        insecure: false,
    }
}

/// Less than a few patiences.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(30), future).await;
    ended.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, tls) = certificate("localhost");
    let fleet = fleet(Some(tls)).await;
    // With an authority, encryption goes without saying.
    for url in ["https://localhost", "localhost"] {
        let address = |token: &str| Address {
            url: format!("{url}:{}", fleet.address.port()),
            token: Some(token.to_owned()),
            authority: Some(authority.clone()),
            insecure: false,
        };
        let client = Client::new(&address(SUBMIT)).unwrap();
        let toy = ToyProver::new(Duration::ZERO, Vice::None);
        let prover = Prover::start(address(WORK), "p", vec![Arc::new(toy)]);
        let path = file(folder.path(), "input", 1000 + url.len());
        let job = Fleet::submit_by(&client, "", &path, 100).await;
        let done = client.wait(job, Duration::from_secs(20), |_| {}).await;
        assert_eq!(done.unwrap().state, JobState::Done);
        let output = folder.path().join("proof");
        client.fetch(job, &output).await.unwrap();
        assert!(prover.finish().await.unwrap().accepted > 0);
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_signed_itself_is_its_own_authority() {
    let (own, tls) = self_signed(IsCa::NoCa);
    let fleet = fleet(Some(tls)).await;
    let address = to(&fleet, "https", Some(own));
    Client::new(&address).unwrap().jobs(None, 1).await.unwrap();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_fit_is_told_what_to_do() {
    let (authority, tls) = certificate("localhost");
    let (other_authority, other_tls) = certificate("fleet.example");
    let (own, own_tls) = self_signed(IsCa::Ca(BasicConstraints::Unconstrained));
    let encrypted = fleet(Some(tls)).await;
    let elsewhere = fleet(Some(other_tls)).await;
    let itself = fleet(Some(own_tls)).await;
    let plain = fleet(None).await;
    let cases = [
        // The web's authorities, and one that did not sign it.
        (to(&encrypted, "https", None), "--ca"),
        (
            to(&encrypted, "https", Some(other_authority.clone())),
            "--ca",
        ),
        (
            to(&elsewhere, "https", Some(other_authority)),
            "connect by a name that it is valid for",
        ),
        (to(&itself, "https", Some(own)), "an authority's own"),
        (to(&encrypted, "http", None), "connect with https://"),
        (to(&plain, "https", Some(authority)), "connect with http://"),
    ];
    for (address, advice) in cases {
        let client = Client::new(&address).unwrap();
        let error = soon(client.jobs(None, 1)).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains(advice), "{error}");
        assert!(error.contains("//localhost:"), "{error}");
        // A prover is told the same: at once, but where the other side only hung up, which may pass.
        let toy = ToyProver::new(Duration::ZERO, Vice::None);
        let prover = Prover::start(address, "p", vec![Arc::new(toy)]);
        let error = soon(prover.working).await.unwrap().unwrap_err().to_string();
        assert!(error.contains(advice), "{error}");
    }
    for fleet in [encrypted, elsewhere, itself, plain] {
        fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_certificate_is_refused_on_either_side() {
    let (authority, tls) = certificate("localhost");
    for (certificate, key) in [
        (b"no certificate".to_vec(), tls.key.clone()),
        (tls.certificate.clone(), b"no key".to_vec()),
        // Of another certificate.
        (tls.certificate.clone(), self_signed(IsCa::NoCa).1.key),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fleet = fleet(None).await;
        let bad = Tls { certificate, key };
        let error = soon(fleet.aggregator.serve(listener, Some(&bad))).await;
        let error = error.unwrap_err();
        assert!(matches!(error, FleetError::Settings { .. }), "{error}");
        fleet.stop().await;
    }
    let fleet = fleet(Some(tls)).await;
    let cut = authority[..authority.len() / 2].to_vec();
    for bad in [b"no certificate".to_vec(), cut] {
        let address = to(&fleet, "https", Some(bad));
        let error = Client::new(&address).err().unwrap();
        assert!(matches!(error, FleetError::Settings { .. }), "{error}");
    }
    fleet.stop().await;
}
