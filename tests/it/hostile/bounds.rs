//! Builds that take more than they may: processes, memory, disk, time. Each meets its own bound.

use countersign_core::{finding::Code, verdict::Outcome};
use countersign_worker::settings::RebuildLimits;

use super::rig::{BUILT, Bench, Release, small_limits};

/// Refuses a hostile build that does not end at this bound, and a worker that does not go on after it.
async fn ends_at(limits: RebuildLimits, script: &str, code: Code) {
    let bench = Bench::with(limits);
    let told = bench.verify(&Release::building(script, "built\n")).await;
    told.expect(Outcome::Fail, code);
    assert!(told.rebuilt.is_none(), "what was packed before a bound was met is no rebuild");
    bench.limited_to(small_limits()).goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_forks_without_end_is_told_by_its_processes() {
    let script = "
        const { spawn } = require('child_process');
        const more = () => {
            const child = spawn('/bin/sleep', ['3600'], { detached: true, stdio: 'ignore' });
            child.on('error', () => process.exit(1));
            child.on('spawn', () => { child.unref(); more(); more(); });
        };
        more();
        setInterval(() => console.log('forking'), 1000);
    ";
    ends_at(small_limits(), script, Code::BuildTooManyProcesses).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_takes_all_memory_is_told_by_its_memory() {
    let script = "
        const held = [];
        for (;;) { held.push(Buffer.alloc(16 << 20, held.length)); console.log(held.length); }
    ";
    ends_at(small_limits(), script, Code::BuildOutOfMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fills_the_disk_is_told_by_its_disk() {
    let script = "
        const fs = require('fs');
        const file = fs.openSync('fill', 'w');
        for (;;) fs.writeSync(file, Buffer.alloc(1 << 20, 1));
    ";
    ends_at(small_limits(), script, Code::BuildOutOfDisk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fills_the_disk_and_says_nothing_of_it_is_no_pass() {
    let script = format!(
        "
        const fs = require('fs');
        fs.writeFileSync('{BUILT}', 'built\\n');
        const file = fs.openSync('fill', 'w');
        try {{ for (;;) fs.writeSync(file, Buffer.alloc(1 << 20, 1)); }} catch {{}}
    "
    );
    ends_at(small_limits(), &script, Code::BuildOutOfDisk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_silent_for_ever_is_told_by_its_silence() {
    let limits = RebuildLimits { silence_seconds: Some(6), ..small_limits() };
    ends_at(limits, "setInterval(() => {}, 1000);", Code::BuildSilent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_prints_for_ever_is_told_by_its_time() {
    let limits = RebuildLimits { seconds: Some(10), ..small_limits() };
    let script = "setInterval(() => console.log('still here'), 200);";
    ends_at(limits, script, Code::BuildTimedOut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_prints_without_measure_is_told_by_its_output() {
    // Not node's own console: it keeps in memory what the pipe does not take.
    let script = "require('child_process').spawnSync('yes', { stdio: 'inherit' });";
    ends_at(small_limits(), script, Code::BuildOutputTooLarge).await;
}
