//! Registries of single scopes, with a real private Verdaccio that needs a token: the build gets what is locked from
//! there, the credential stays outside, and nothing of a mapped scope comes from anywhere else.

mod verdaccio;

use std::{path::Path, process::Command};

use countersign::config::{Config, Flags};
use countersign_core::{Sha512, finding::Code, verdict::Outcome};
use countersign_worker::upstream::{UpstreamConfig, Variables};

use crate::hostile::rig::{
    BUILT, Bench, NAME, Release, TAG, Told, VERSION, passable_folder, small_limits,
};
use verdaccio::Verdaccio;

/// What the lockfile names the registry by: another host and path, as a company's virtual repository.
const ALIAS: &str = "npm.company.example";
/// A package of a scope that the public registry has too, which exists in the private one alone.
const OURS: &str = "@types/only-in-the-company";
/// One of that scope that exists in the public registry alone.
const THEIRS: &str = "@types/estree";

/// A release whose build packs what that dependency exports, and where in the sandbox the token lies: the script knows it
/// backwards, and to show that it would find it, it hides one itself.
fn release(dependency: &str, digest: &Sha512, host: &str, token: &str) -> Release {
    let backwards: String = token.chars().rev().collect();
    let script = format!(
        "const fs = require('fs'), path = require('path');
        const token = '{backwards}'.split('').reverse().join('');
        fs.writeFileSync('/tmp/planted', 'x' + token);
        const found = [];
        const look = file => {{ try {{ if (fs.readFileSync(file).includes(token)) found.push(file) }} catch {{}} }};
        const walk = folder => {{
            let names = [];
            try {{ names = fs.readdirSync(folder, {{ withFileTypes: true }}) }} catch {{}}
            for (const name of names) {{
                const full = path.join(folder, name.name);
                if (name.isDirectory()) walk(full);
                else if (name.isFile() && fs.statSync(full).size < 2e6) look(full);
            }}
        }};
        ['/build', '/tmp', '/etc', '/run', '/opt/bin', '/opt/pm', '/home', '/root', '/var', '/dev/shm'].forEach(walk);
        for (const pid of fs.readdirSync('/proc').filter(name => /^[0-9]+$/.test(name)))
            for (const name of ['environ', 'cmdline', 'mountinfo', 'stat']) look(`/proc/${{pid}}/${{name}}`);
        if (JSON.stringify(process.env).includes(token)) found.push('the environment');
        fs.writeFileSync('{BUILT}', require('{dependency}') + '\\n' + found.join('\\n') + '\\n');"
    );
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}"],"scripts":{{"prepack":"node prepack.js"}},"devDependencies":{{"{dependency}":"1.0.0"}}}}"#
    );
    let file = dependency.rsplit('/').next().unwrap();
    let lockfile = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","lockfileVersion":3,"requires":true,"packages":{{
        "":{{"name":"{NAME}","version":"{VERSION}","devDependencies":{{"{dependency}":"1.0.0"}}}},
        "node_modules/{dependency}":{{"version":"1.0.0","dev":true,"integrity":"{}",
          "resolved":"{host}{dependency}/-/{file}-1.0.0.tgz"}}}}}}"#,
        digest.to_integrity()
    );
    let mut release =
        Release::building(&script, "made by the company\n/tmp/planted\n").with_package(&package);
    release.committed.push(("package-lock.json".to_owned(), lockfile));
    release
}

/// The operator's configuration of this text, over this machine's own npm configuration.
fn configured(text: &str) -> UpstreamConfig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    std::fs::write(&file, text).unwrap();
    let environment: Variables = std::env::vars().collect();
    let flags = Flags { config: Some(file), ..Flags::default() };
    Config::from_layers(&flags, &environment).unwrap().upstream().clone()
}

fn mapping(url: &str, token_file: Option<&Path>) -> String {
    let token = token_file.map_or_else(String::new, |path| format!("token_file = {path:?}\n"));
    format!(
        "[registries.\"@types\"]\nurl = \"{url}\"\n{token}aliases = [\"https://{ALIAS}/repository/all/\"]\n"
    )
}

async fn verified(release: &Release, upstream: UpstreamConfig) -> Told {
    Bench::reaching(small_limits(), upstream).verify(release).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_scope_comes_from_its_private_registry_by_a_token_that_the_sandbox_never_sees() {
    let private = Verdaccio::start().await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, format!("{}\n", private.token)).unwrap();
    let digest = private.publish(OURS, "1.0.0", "module.exports = 'made by the company'").await;
    let aliased = format!("https://{ALIAS}/repository/all/");
    let ours = release(OURS, &digest, &aliased, &private.token);

    let mapped = configured(&mapping(&private.url, Some(&token_file)));
    let told = verified(&ours, mapped.clone()).await;
    told.expect_pass();
    assert!(!told.log().contains(&private.token));
    let report = serde_json::to_string(&told.judged).unwrap();
    assert!(report.contains(OURS) && !report.contains(&private.token), "{report}");

    let told = verified(&ours, configured(&mapping(&private.url, None))).await;
    told.expect(Outcome::Inconclusive, Code::RegistryUnavailable);

    let told = verified(&ours, UpstreamConfig::from_environment().unwrap()).await;
    told.expect(Outcome::Fail, Code::LockfileForeignHost);
    let finding = &told.judged.verdict.findings[0];
    assert!(finding.message.contains(ALIAS), "{finding:?}");
    let fix = finding.fix.as_deref().unwrap();
    assert!(fix.contains(&format!("aliases = [\"{ALIAS}\"] under [registry]")), "{fix}");

    // It could be had from the public registry, with the very bytes that the lockfile names.
    let public = UpstreamConfig::from_environment().unwrap();
    let known = public_digest(&public, THEIRS).await;
    let theirs = release(THEIRS, &known, "https://registry.npmjs.org/", &private.token);
    let told = verified(&theirs, mapped).await;
    told.expect(Outcome::Fail, Code::NeedsNetwork);
}

/// The digest of a version that the public registry has.
async fn public_digest(public: &UpstreamConfig, name: &str) -> Sha512 {
    let folder = tempfile::tempdir().unwrap();
    let upstream = countersign_worker::upstream::Upstream::new(public, folder.path()).unwrap();
    let packument = upstream.packument(&name.parse().unwrap()).await.unwrap();
    packument.dist(&"1.0.0".parse().unwrap()).unwrap().sha512().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_takes_the_mapping_from_npms_configuration_or_from_the_operators_file() {
    let private = Verdaccio::start().await;
    let digest = private.publish(OURS, "1.0.0", "module.exports = 'made by the company'").await;
    let folder = passable_folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let address = private.url.trim_start_matches("http:");
    let npmrc =
        format!("@types:registry={}\n{address}:_authToken={}\n", private.url, private.token);
    write("npmrc", &npmrc);
    write("token", &private.token);
    write("countersign.toml", &mapping(&private.url, Some(&folder.path().join("token"))));
    let aliased = format!("https://{ALIAS}/repository/all/");
    for (number, host, arguments) in
        [(0, &private.url, &[][..]), (1, &aliased, &["--config", "countersign.toml"][..])]
    {
        let release = release(OURS, &digest, host, &private.token);
        let (repository, kept) = (format!("repository-{number}"), format!("kept-{number}"));
        release.commit_to(&folder.path().join(&repository));
        std::fs::write(folder.path().join("staged.tgz"), release.tgz()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).args(["check", "staged.tgz", "--json", "--ref", TAG]);
        command.args(["--repo", &repository, "--keep", &kept]).current_dir(folder.path());
        if arguments.is_empty() {
            command.env("NPM_CONFIG_USERCONFIG", folder.path().join("npmrc"));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}\n{complained}");
        for file in ["build.log", "report.json"] {
            let text = std::fs::read_to_string(folder.path().join(&kept).join(file)).unwrap();
            assert!(!text.contains(&private.token), "{file}: {text}");
        }
        assert!(said.contains(OURS) && !said.contains(&private.token), "{said}");
    }
}
