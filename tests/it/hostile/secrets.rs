//! Builds that look for what is not theirs: secrets in any process's environment, and the host's own node and npm.

use std::process::{Child, Command, Stdio};

use countersign_core::toolchain::Tool;

use super::rig::{BUILT, Bench, Release, TAG, passable_folder, text_in};

/// What is planted; no build may ever see it.
const SECRET: &str = "planted-8d1f2c7a-secret";

/// Packs the environment, arguments and open files of every process that it can see.
const LOOKING: &str = "
    const fs = require('fs');
    const read = path => { try { return fs.readFileSync(path, 'latin1') } catch (e) { return String(e.code) } };
    const links = path => {
        try { return fs.readdirSync(path).map(name => {
            try { return fs.readlinkSync(path + '/' + name) } catch (e) { return String(e.code) }
        }).join(' ') } catch (e) { return String(e.code) }
    };
    let told = JSON.stringify(process.env) + '\\n';
    for (const pid of fs.readdirSync('/proc').filter(name => /^[0-9]+$/.test(name))) {
        for (const name of ['environ', 'cmdline', 'status', 'mountinfo'])
            told += pid + ' ' + name + ' ' + read('/proc/' + pid + '/' + name) + '\\n';
        told += pid + ' fd ' + links('/proc/' + pid + '/fd') + '\\n';
        told += pid + ' root ' + links('/proc/' + pid + '/root/root') + '\\n';
    }
    fs.writeFileSync('out.txt', told.replace(/[^ -~\\n]/g, ' '));
";

/// A process of this machine that holds the secret as a service would, until it is dropped.
struct Holder(Child);

impl Holder {
    fn start() -> Self {
        let mut cat = Command::new("cat");
        Self(cat.env("COUNTERSIGN_TOKEN", SECRET).stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_build_that_packs_every_environment_finds_no_secret() {
    let folder = passable_folder();
    let release = Release::building(LOOKING, "nothing\n");
    release.commit_to(&folder.path().join("repository"));
    std::fs::write(folder.path().join("staged.tgz"), release.tgz()).unwrap();
    let service = Holder::start();
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["check", "staged.tgz", "--repo", "repository", "--ref", TAG, "--json"])
        .args(["--keep", "kept"])
        .current_dir(folder.path())
        .env("COUNTERSIGN_TOKEN", SECRET)
        .env("NPM_TOKEN", SECRET)
        .env("npm_config_//registry.example/:_authToken", SECRET)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{report}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = text_in(&std::fs::read(folder.path().join("kept/rebuilt.tgz")).unwrap(), BUILT);
    // It did look, and saw its own.
    assert!(told.contains("1 environ ") && told.contains("SOURCE_DATE_EPOCH"), "{told}");
    assert!(!told.contains("planted"), "{told}");
    assert!(!told.contains(&format!("\n{} environ", service.0.id())), "{told}");
    for file in ["build.log", "report.json"] {
        let text = std::fs::read_to_string(folder.path().join("kept").join(file)).unwrap();
        assert!(!text.contains(SECRET), "{file}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_node_and_npm_cannot_take_the_toolchains_place() {
    let script = "
        const { spawnSync } = require('child_process');
        const run = (program, ...args) => {
            const ran = spawnSync(program, args, { encoding: 'utf8' });
            return ran.status === 0 ? ran.stdout.trim() : 'none';
        };
        const lines = ['node ' + process.version, 'by path ' + run('node', '--version'), 'npm ' + run('npm', '--version')];
        for (const folder of ['/usr/bin', '/bin', '/usr/local/bin', '/usr/sbin', '/snap/bin'])
            for (const name of ['node', 'nodejs', 'npm', 'npx', 'corepack', 'yarn', 'pnpm'])
                lines.push(folder + '/' + name + ' ' + run(folder + '/' + name, '--version'));
        require('fs').writeFileSync('out.txt', lines.join('\\n') + '\\n');
    ";
    let bench = Bench::new();
    let told = bench.verify(&Release::building(script, "nothing\n")).await;
    let plan = told.judged.observations.plan.clone().unwrap();
    let version = |tool: &Tool| tool.version.clone();
    let (node, npm) = (version(&plan.node), version(&plan.npm));
    let text = told.rebuilt_text(BUILT);
    let (own, hosts) = text.split_at(text.find("/usr/bin").unwrap());
    assert_eq!(own, format!("node v{node}\nby path v{node}\nnpm {npm}\n"));
    let ran: Vec<&str> = hosts.lines().filter(|line| !line.ends_with(" none")).collect();
    assert_eq!(ran, Vec::<&str>::new(), "the host's programs ran in the sandbox");
}
