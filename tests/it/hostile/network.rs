//! Builds that reach for the network: the registry's copy of their own tarball, and a host of the attacker's.

use countersign_core::{
    finding::Code,
    rebuild::{NetworkRequest, Phase, RequestOutcome},
    verdict::Outcome,
};

use super::rig::{BUILT, Bench, NAME, Release, Told, VERSION};

/// The host of an attacker.
const HOST: &str = "attacker.example";

/// Writes what an honest build writes; then asks the registry for its own tarball and a resolver for [`HOST`], and ends
/// with this code where either was refused.
fn asking(exit_code: i32) -> Release {
    let script = format!(
        "
        const fs = require('fs'), http = require('http'), dns = require('dns');
        fs.writeFileSync('{BUILT}', 'built\\n');
        const registry = process.env.npm_config_registry;
        http.get(registry + '{NAME}/-/{NAME}-{VERSION}.tgz', answer => {{
            const chunks = [];
            answer.on('data', chunk => chunks.push(chunk));
            answer.on('end', () => {{
                if (answer.statusCode === 200) fs.writeFileSync('{BUILT}', Buffer.concat(chunks));
                dns.lookup('{HOST}', (error, address) => {{
                    if (!error) fs.writeFileSync('{BUILT}', address);
                    process.exit(error || answer.statusCode !== 200 ? {exit_code} : 0);
                }});
            }});
        }}).on('error', () => process.exit(99));
    "
    );
    Release::building(&script, "built\n")
}

/// Refuses a report in which one of the two requests is missing, or was answered.
fn lists_both(told: &Told) {
    let network = &told.judged.observations.rebuild.as_ref().unwrap().network;
    let refused = |method: &str, target: &str| {
        network.iter().any(|request: &NetworkRequest| {
            request.phase == Phase::Build
                && request.method == method
                && request.target == target
                && request.outcome == RequestOutcome::Refused
        })
    };
    let own = format!("/{NAME}/-/{NAME}-{VERSION}.tgz");
    assert!(refused("GET", &own) && refused("DNS", &format!("dns:{HOST}")), "{network:#?}");
    let let_through = network.iter().find(|request| request.outcome != RequestOutcome::Refused);
    assert_eq!(let_through, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_cannot_do_without_its_own_tarball_needs_network() {
    let bench = Bench::new();
    let told = bench.verify(&asking(1)).await;
    told.expect(Outcome::Fail, Code::NeedsNetwork);
    lists_both(&told);
    bench.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_makes_the_same_bytes_without_the_network_passes_and_is_told_of() {
    let bench = Bench::new();
    let told = bench.verify(&asking(0)).await;
    told.expect_pass();
    lists_both(&told);
    bench.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_talks_to_addresses_reaches_none() {
    let script = format!(
        "
        const fs = require('fs'), net = require('net');
        const tried = [['1.1.1.1', 443], ['169.254.169.254', 80], ['127.0.0.1', PORT]].map(([host, port]) =>
            new Promise(done => {{
                const socket = net.connect({{ host, port }});
                socket.on('connect', () => done(host + ' connected'));
                socket.on('error', () => done(host + ' refused'));
                setTimeout(() => done(host + ' refused'), 5000);
            }}));
        Promise.all(tried).then(told => {{
            fs.writeFileSync('{BUILT}', told.join('\\n') + '\\n');
            process.exit(0);
        }});
    "
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let script = script.replace("PORT", &listener.local_addr().unwrap().port().to_string());
    let expected = "1.1.1.1 refused\n169.254.169.254 refused\n127.0.0.1 refused\n";
    let bench = Bench::new();
    let told = bench.verify(&Release::building(&script, expected)).await;
    assert_eq!(told.rebuilt_text(BUILT), expected);
    told.expect_pass();
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a port of this machine was reached");
}
