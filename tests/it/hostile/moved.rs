//! Builds whose output depends on the day, and builds that change tracked files in passing: each has a candidate plan by
//! which it comes out as it was released.

use countersign_core::{
    finding::Code,
    plan::{Clock, Plan},
    rebuild::Rebuild,
    verdict::Outcome,
};

use super::rig::{BUILT, Bench, NAME, Release, Told, VERSION};

/// The day of every commit of these tests.
const DAY: &str = "2026-01-15";

fn plan(told: &Told) -> &Plan {
    told.judged.observations.plan.as_ref().unwrap()
}

fn rebuild(told: &Told) -> &Rebuild {
    told.judged.observations.rebuild.as_ref().unwrap()
}

/// Asks for the day in every way that a build may: by itself, in a child, in a worker thread, as a module.
const ASKING_FOR_THE_DAY: &str = r"
    const fs = require('fs'), { execFileSync } = require('child_process'), { Worker } = require('worker_threads');
    const day = time => new Date(time).toISOString().slice(0, 10);
    class Own extends Date {}
    const lines = [
        new Date().toISOString().slice(0, 10), day(Date.now()), day(Date()), day(performance.timeOrigin),
        new Own().toISOString().slice(0, 10), String(new Own() instanceof Date),
        execFileSync('node', ['-p', 'new Date().toISOString().slice(0, 10)'], { encoding: 'utf8' }).trim(),
        execFileSync('node', ['child.mjs'], { encoding: 'utf8' }).trim(),
        new Date(0).toISOString(), new Date(2001, 1, 3).toDateString(), structuredClone(new Date(5)).toISOString(),
    ];
    new Worker('require(\'worker_threads\').parentPort.postMessage(Date.now())', { eval: true }).on('message', time => {
        lines.push(day(time));
        fs.writeFileSync('out.txt', lines.join('\n') + '\n');
    });
";

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_packs_the_day_comes_out_as_on_the_day_of_its_commit() {
    let fixed = "1970-01-01T00:00:00.000Z\nSat Feb 03 2001\n1970-01-01T00:00:00.005Z";
    let built = format!("{DAY}\n{DAY}\n{DAY}\n{DAY}\n{DAY}\ntrue\n{DAY}\n{DAY}\n{fixed}\n{DAY}\n");
    let mut release = Release::building(ASKING_FOR_THE_DAY, &built);
    let child = "const now = new Date();\nconsole.log(now.toISOString().slice(0, 10));\n";
    release.committed.push(("child.mjs".to_owned(), child.to_owned()));
    let told = Bench::new().verify(&release).await;
    assert_eq!(told.rebuilt_text(BUILT), built);
    told.expect_pass();
    assert_eq!(plan(&told).clock, Clock::Preload);
}

/// The clock is a candidate like every other: what is packed with another day than both is not helped by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_neither_todays_nor_the_commits_differs() {
    let script =
        format!("require('fs').writeFileSync('{BUILT}', new Date().toISOString().slice(0, 10))");
    let told = Bench::new().verify(&Release::building(&script, "2025-12-24")).await;
    told.expect(Outcome::Fail, Code::FileChanged);
}

/// A build that also rewrites, removes and makes executable what it has no business with, beside files that it is there
/// to make and that the commit holds in an older form.
fn untidy() -> Release {
    let script = format!(
        "const fs = require('fs');
        fs.writeFileSync('{BUILT}', 'built\\n');
        fs.writeFileSync('README.md', 'formatted\\n');
        fs.rmSync('LICENSE');
        fs.rmSync('docs', {{ recursive: true }});
        fs.symlinkSync('/tmp', 'docs');
        fs.chmodSync('notes.txt', 0o755);
        fs.writeFileSync('dist/index.js', 'new\\n');
        fs.writeFileSync('dist/style.css', 'new\\n');
        fs.writeFileSync('generated/new.js', 'made\\n');
        fs.writeFileSync('generated/old.js', 'new\\n');"
    );
    let packed = r#"["out.txt","notes.txt","docs","dist","generated"]"#;
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","main":"dist/index.js","files":{packed},"scripts":{{"prepack":"node prepack.js"}}}}"#
    );
    let mut release = Release::building(&script, "built\n").with_package(&package);
    let mut file = |path: &str, committed: Option<&str>, packed: &str| {
        let committed = committed.map(|text| (path.to_owned(), text.to_owned()));
        release.committed.extend(committed);
        release.packed.push((path.to_owned(), packed.to_owned()));
    };
    file("README.md", Some("as committed\n"), "as committed\n");
    file("LICENSE", Some("as committed\n"), "as committed\n");
    file("notes.txt", Some("as committed\n"), "as committed\n");
    file("dist/index.js", Some("old\n"), "new\n");
    file("dist/style.css", Some("old\n"), "new\n");
    file("generated/new.js", None, "made\n");
    file("generated/old.js", Some("old\n"), "new\n");
    release.committed.push(("docs/a.md".to_owned(), "as committed\n".to_owned()));
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_changes_outside_of_its_output_is_put_back_before_packing() {
    let told = Bench::new().verify(&untidy()).await;
    told.expect_pass();
    assert!(plan(&told).put_back);
    let expected = ["LICENSE", "README.md", "notes.txt"];
    assert_eq!(rebuild(&told).put_back, expected, "what cannot be put back is told in the log");
    assert!(told.log().contains("put back as committed: README.md"), "{}", told.log());
    assert!(told.log().contains("cannot be put back: docs/a.md"), "{}", told.log());
}

/// A wrong file is not made right by it: only bytes of the commit are ever written back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_back_is_the_commits_and_nothing_else() {
    let mut release = untidy();
    for (path, text) in &mut release.packed {
        if path == "README.md" {
            *text = "slipped in\n".to_owned();
        }
    }
    let told = Bench::new().verify(&release).await;
    told.expect(Outcome::Fail, Code::FileChanged);
}

/// The version is written into a tracked file by a step of the plan itself, which stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_plan_writes_is_not_put_back() {
    let tagged = format!(
        r#"{{"name":"{NAME}","version":"0.0.0-development","files":["{BUILT}"],"scripts":{{"prepack":"node prepack.js"}}}}"#
    );
    let packed = tagged.replace("0.0.0-development", VERSION);
    let written = |compact: &str| {
        let value: serde_json::Value = serde_json::from_str(compact).unwrap();
        format!("{value:#}\n")
    };
    let mut release =
        Release::honest().with_package(&written(&packed)).tagged_as(&written(&tagged));
    let workflow = "on: push\njobs:\n  release:\n    runs-on: ubuntu-latest\n    steps:\n      - run: npx semantic-release\n";
    release.committed.push((".github/workflows/release.yml".to_owned(), workflow.to_owned()));
    let told = Bench::new().verify(&release).await;
    told.expect_pass();
    assert_eq!(plan(&told).build[0].argv[..2], ["npm", "version"]);
    assert!(plan(&told).put_back && rebuild(&told).put_back.is_empty());
}
