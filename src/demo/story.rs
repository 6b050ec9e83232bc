//! The demo's steps in order. Each is a command or a request with what has to come of it; the first that comes out
//! otherwise ends the demo and is named.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use serde_json::Value;

use super::{
    maintainer::{self, Maintainer},
    narrator::{Answer, Narrator},
    npm::{Npm, in_terminal},
    repository::{NAME, SampleRepository, TAG, VERSION, git},
    service::Service,
};

/// Everything that the steps share.
pub(super) struct Stage {
    pub(super) narrator: Narrator,
    folder: PathBuf,
    repository: SampleRepository,
    pub(super) service: Service,
    pub(super) maintainer: Maintainer,
    ci: Npm,
    /// The maintainer's npm.
    home: Npm,
    ci_token: String,
    checkout: PathBuf,
}

/// Goes through all of it.
pub(super) async fn run(folder: &Path, tools: &Path) -> anyhow::Result<()> {
    let mut stage = Stage::set_up(folder, tools).await?;
    stage.build_as_ci().await?;
    let tampered = stage.tampered_release().await?;
    stage.sign_in().await?;
    stage.refuse_the_tampered(&tampered).await?;
    stage.foreign_release().await?;
    let honest = stage.honest_release().await?;
    stage.refuse_without_a_maintainer_or_code(&honest).await?;
    stage.approve(&honest).await?;
    stage.install().await?;
    stage.take_down().await
}

impl Stage {
    /// Repository, service, maintainer, enrolment and CI's token.
    pub(super) async fn set_up(folder: &Path, tools: &Path) -> anyhow::Result<Self> {
        let mut narrator = Narrator::new();
        narrator.step("A repository with a tag, served over HTTP");
        let repository = SampleRepository::create(folder).await?;
        narrator.say(&format!("{} with the tag {TAG}", repository.url));
        narrator.step("The service, with one worker");
        let service = Service::start(folder).await?;
        narrator.say(&format!("$ {}", service.line()));
        narrator.say(&format!("it listens on {}", service.url));
        narrator.step("A maintainer with a password and an authenticator");
        let maintainer = add_maintainer(&mut narrator, &service).await?;
        let mut stage = Self {
            ci: Npm::new(tools, folder.join("ci"), &service.url)?,
            home: Npm::new(tools, folder.join("ada"), &service.url)?,
            checkout: folder.join("ci").join("checkout"),
            folder: folder.to_owned(),
            ci_token: String::new(),
            narrator,
            repository,
            service,
            maintainer,
        };
        stage.enrol().await?;
        stage.create_token().await?;
        Ok(stage)
    }

    async fn enrol(&mut self) -> anyhow::Result<()> {
        self.narrator.step("The maintainer confirms where the package's source is, with a code");
        let code = self.maintainer.code()?;
        let repo = self.repository.url.clone();
        let arguments =
            ["package", "enrol", NAME, "--by", maintainer::NAME, "--repo", &repo, "--code-stdin"];
        let answer = self.narrator.run(&self.service.operator(&arguments).input(code)).await?;
        self.maintainer.spent()?;
        self.narrator.expect(answer.code == 0, "the package is enrolled")
    }

    async fn create_token(&mut self) -> anyhow::Result<()> {
        self.narrator.step("CI gets a token that can stage and read, and nothing else");
        let arguments = ["token", "create", "--scope", "stage,verify,read", "--package", NAME];
        let call = self.service.operator(&arguments);
        self.narrator.show_call(&call);
        let output = tokio::process::Command::from(call.command()).output().await?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        self.ci_token = stdout.lines().last().unwrap_or_default().trim().to_owned();
        self.narrator.hide(&self.ci_token);
        self.narrator.show(&Answer {
            code: output.status.code().unwrap_or(128),
            all: format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)),
            stdout,
        });
        self.narrator
            .expect(output.status.success() && !self.ci_token.is_empty(), "a token was printed")?;
        self.ci.configure(Some(&self.ci_token))
    }

    /// A clean clone of the tag, installed and built as CI does.
    pub(super) async fn build_as_ci(&mut self) -> anyhow::Result<()> {
        self.narrator.step("CI clones the tag, installs by the lockfile and builds");
        let checkout = self.checkout.to_str().context("the demo's folder is UTF-8")?;
        let url = self.repository.url.clone();
        git(&self.folder, &["clone", "--quiet", "--branch", TAG, &url, checkout]).await?;
        let answer = self.npm(&["ci"]).await?;
        self.narrator.expect(answer.code == 0, "npm ci installs through this registry")?;
        let answer = self.npm(&["run", "prepack"]).await?;
        self.narrator.expect(answer.code == 0, "a real tsc compiled the package")
    }

    async fn npm(&self, arguments: &[&str]) -> anyhow::Result<Answer> {
        self.narrator.run(&self.ci.call(&self.checkout, arguments)).await
    }

    /// Somebody with CI's token changes one built file and stages that.
    pub(super) async fn tampered_release(&mut self) -> anyhow::Result<String> {
        self.narrator.step(
            "Somebody with CI's token stages the same tag with one line added to a built file",
        );
        let built = self.checkout.join("dist/index.js");
        let honest = std::fs::read_to_string(&built)?;
        std::fs::write(&built, format!("{honest}require(\"node:https\");\n"))?;
        let id = self.stage(&["stage", "publish", "--ignore-scripts", "--json"]).await?;
        std::fs::write(&built, honest)?;
        let answer = self.wait(&id).await?;
        let report = self.report(&id).await?;
        let named = report["findings"].as_array().is_some_and(|findings| {
            findings.iter().any(|f| f["code"] == "file-changed" && f["path"] == "dist/index.js")
        });
        self.narrator
            .expect(answer.code == 1 && report["verdict"] == "fail", "the verdict is fail")?;
        self.narrator.expect(named, "it names dist/index.js")?;
        self.show_difference(&id).await?;
        Ok(id)
    }

    /// The staged tarball beside the rebuilt one, as anybody with the read token can fetch them.
    async fn show_difference(&self, id: &str) -> anyhow::Result<()> {
        let staged = self.folder.join("staged.tgz");
        let rebuilt = self.folder.join("rebuilt.tgz");
        std::fs::write(&staged, self.get_bytes(&format!("/-/stage/{id}/tarball")).await?)?;
        std::fs::write(
            &rebuilt,
            self.get_bytes(&format!("/v1/verifications/{id}/rebuilt.tgz")).await?,
        )?;
        let answer = self
            .narrator
            .run(&self.service.command(&["compare", "staged.tgz", "rebuilt.tgz"]))
            .await?;
        let shown = answer.all.contains("+require(\"node:https\");");
        self.narrator.expect(answer.code == 1 && shown, "the difference is the line that was added")
    }

    /// `npm login` in a terminal, as a person does it.
    pub(super) async fn sign_in(&mut self) -> anyhow::Result<()> {
        self.narrator.step("The maintainer signs in with the plain npm: name, password, code");
        let code = self.fresh_code().await?;
        let call = self.home.call(&self.folder, &["login", "--auth-type=legacy"]);
        self.narrator.show_call(&call);
        let password = self.maintainer.password.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let name = || Ok(maintainer::NAME.to_owned());
            in_terminal(
                &call,
                vec![
                    ("sername:", Box::new(name)),
                    ("assword:", Box::new(move || Ok(password))),
                    ("OTP", Box::new(move || Ok(code))),
                ],
            )
        })
        .await??;
        self.narrator.show(&answer);
        self.maintainer.spent()?;
        self.narrator.expect(answer.code == 0, "the session is theirs")?;
        let answer = self.narrator.run(&self.home.call(&self.folder, &["whoami"])).await?;
        self.narrator.expect(answer.stdout.trim() == maintainer::NAME, "npm whoami says so")
    }

    async fn fresh_code(&self) -> anyhow::Result<String> {
        let tell = |wait| {
            self.narrator.say(&format!("(the last code was used; the next is there in {wait} s)"))
        };
        self.maintainer.fresh_code(tell).await
    }

    /// A right code does not open a gate that the verdict closed, and is not spent by trying.
    pub(super) async fn refuse_the_tampered(&mut self, id: &str) -> anyhow::Result<()> {
        self.narrator
            .step("The maintainer approves the tampered release with a right code, and is refused");
        let code = self.fresh_code().await?;
        let answer =
            self.maintainers_npm(&["stage", "approve", id, &format!("--otp={code}")]).await?;
        self.narrator.expect(
            answer.code == 1 && answer.all.contains("E403"),
            "npm ends with E403 and says why",
        )?;
        self.narrator.expect(!self.is_live().await?, "the version is not live")?;
        self.reject(id).await
    }

    /// The maintainer rejects a stage, which frees its version.
    pub(super) async fn reject(&mut self, id: &str) -> anyhow::Result<()> {
        let code = self.fresh_code().await?;
        let answer =
            self.maintainers_npm(&["stage", "reject", id, &format!("--otp={code}")]).await?;
        self.maintainer.spent()?;
        self.narrator.expect(answer.code == 0, "the maintainer rejects that stage")
    }

    async fn maintainers_npm(&self, arguments: &[&str]) -> anyhow::Result<Answer> {
        self.narrator.run(&self.home.call(&self.folder, arguments)).await
    }

    /// A package.json that points somewhere else.
    pub(super) async fn foreign_release(&mut self) -> anyhow::Result<()> {
        self.narrator.step("Somebody stages a tarball that names another repository");
        let manifest = self.checkout.join("package.json");
        let honest = std::fs::read_to_string(&manifest)?;
        std::fs::write(
            &manifest,
            honest.replace(&self.repository.url, "https://github.com/somebody/else"),
        )?;
        let id = self.stage(&["stage", "publish", "--ignore-scripts", "--json"]).await?;
        std::fs::write(&manifest, honest)?;
        let answer = self.wait(&id).await?;
        let report = self.report(&id).await?;
        let code = report["findings"][0]["code"].as_str().unwrap_or_default();
        self.narrator.expect(
            answer.code == 1 && report["class"] == "source" && code == "source-not-enrolled",
            "the verdict is fail: source-not-enrolled",
        )?;
        self.reject(&id).await
    }

    /// What CI really built.
    pub(super) async fn honest_release(&mut self) -> anyhow::Result<String> {
        self.narrator.step("CI stages the honest release");
        let started = Instant::now();
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::TAMPERED_FOR_HONEST) {
            let built = self.checkout.join("dist/index.js");
            std::fs::write(&built, format!("{}// x\n", std::fs::read_to_string(&built)?))?;
        }
        let id = self.stage(&["stage", "publish", "--ignore-scripts", "--json"]).await?;
        let answer = self.wait(&id).await?;
        let seconds = started.elapsed().as_secs_f64();
        let report = self.report(&id).await?;
        self.narrator
            .expect(answer.code == 0 && report["verdict"] == "pass", "the verdict is pass")?;
        self.narrator.say(&format!("the verdict took {seconds:.1} s from staging"));
        let sha512 = report["artifact"]["sha512"].as_str().unwrap_or_default().to_owned();
        let by_digest = self.get(&format!("/v1/verdicts/{sha512}")).await?;
        self.narrator
            .expect(by_digest["current"]["verdict"] == "pass", "asked by SHA-512: pass")?;
        Ok(id)
    }

    /// Neither a token nor a session without a code approves.
    pub(super) async fn refuse_without_a_maintainer_or_code(
        &mut self,
        id: &str,
    ) -> anyhow::Result<()> {
        self.narrator.step("Approving with CI's token is refused");
        let answer = self.npm(&["stage", "approve", id, "--otp=123456"]).await?;
        self.narrator
            .expect(answer.code == 1 && answer.all.contains("E403"), "npm ends with E403")?;
        self.narrator.step("Approving with the maintainer's session but no code is refused");
        let answer = self.maintainers_npm(&["stage", "approve", id]).await?;
        self.narrator.expect(
            answer.code == 1 && answer.all.contains("EOTP"),
            "npm asks for a one-time password",
        )?;
        self.narrator.step("Approving with the maintainer's session and a wrong code is refused");
        let wrong = if self.maintainer.code()? == "000000" { "000001" } else { "000000" };
        let answer =
            self.maintainers_npm(&["stage", "approve", id, &format!("--otp={wrong}")]).await?;
        self.narrator.expect(answer.code == 1, "npm ends with an error")?;
        self.narrator.expect(!self.is_live().await?, "the version is not live")
    }

    /// The maintainer, with a code.
    pub(super) async fn approve(&mut self, id: &str) -> anyhow::Result<()> {
        self.narrator.step("The maintainer approves with a code");
        let code = self.fresh_code().await?;
        let answer =
            self.maintainers_npm(&["stage", "approve", id, &format!("--otp={code}")]).await?;
        self.maintainer.spent()?;
        self.narrator.expect(answer.code == 0, "npm says approved and published")?;
        self.narrator.expect(self.is_live().await?, "the version is live")
    }

    /// Somebody who uses the package.
    pub(super) async fn install(&mut self) -> anyhow::Result<()> {
        self.narrator.step("Somebody installs it in another folder and uses it");
        let folder = self.folder.join("user");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("package.json"), "{\"private\":true}\n")?;
        let user = Npm::new(self.ci.tools(), folder.join("home"), &self.service.url)?;
        let spec = format!("{NAME}@{VERSION}");
        let answer = self.narrator.run(&user.call(&folder, &["install", &spec])).await?;
        self.narrator.expect(answer.code == 0, "npm install works")?;
        let script = format!("console.log(require('{NAME}').pad('7', 3, '0'))");
        let answer = self.narrator.run(&user.node(&folder, &["-e", &script])).await?;
        self.narrator.expect(answer.stdout.trim() == "007", "and the package does its work")
    }

    async fn take_down(self) -> anyhow::Result<()> {
        let seconds = self.narrator.elapsed_seconds();
        self.service.stop().await?;
        self.narrator.say(&format!("\nAll as it should, in {seconds:.0} s."));
        Ok(())
    }

    /// Stages what lies in CI's checkout; the stage's id.
    async fn stage(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let answer = self.npm(arguments).await?;
        self.narrator.expect(answer.code == 0, "npm stages it")?;
        let said: Value =
            serde_json::from_str(&answer.stdout).context("npm stage publish --json prints JSON")?;
        let id = find_stage_id(&said).context("npm stage publish --json says the stage's id")?;
        Ok(id.to_owned())
    }

    /// `countersign wait`, as CI calls it.
    async fn wait(&self, id: &str) -> anyhow::Result<Answer> {
        let url = self.service.url.clone();
        let arguments =
            ["wait", id, "--server", &url, "--token", &self.ci_token, "--timeout", "600"];
        self.narrator.run(&self.service.command(&arguments)).await
    }

    async fn report(&self, id: &str) -> anyhow::Result<Value> {
        self.get(&format!("/v1/verifications/{id}/report")).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let bytes = self.get_bytes(path).await?;
        serde_json::from_slice(&bytes).with_context(|| format!("{path} is not JSON"))
    }

    async fn get_bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{path}", self.service.url);
        let answer = reqwest::Client::new().get(&url).bearer_auth(&self.ci_token).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?.to_vec();
        anyhow::ensure!(
            status.is_success(),
            "GET {path} answered {status}: {}",
            String::from_utf8_lossy(&bytes)
        );
        Ok(bytes)
    }

    /// Whether the version can be installed from this registry.
    async fn is_live(&self) -> anyhow::Result<bool> {
        let url = format!("{}/{NAME}", self.service.url);
        let answer = reqwest::Client::new().get(&url).send().await?;
        if !answer.status().is_success() {
            return Ok(false);
        }
        let packument: Value = serde_json::from_slice(&answer.bytes().await?)?;
        Ok(packument["versions"].get(VERSION).is_some())
    }
}

async fn add_maintainer(narrator: &mut Narrator, service: &Service) -> anyhow::Result<Maintainer> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let password = hex::encode(random);
    let call = service
        .operator(&["maintainer", "add", maintainer::NAME, "--password-stdin"])
        .input(&password);
    let answer = narrator.run(&call).await?;
    narrator.expect(answer.code == 0, "the maintainer is there")?;
    Maintainer::from_output(password, &answer.stdout)
}

/// The id stands as `stageId`, under the package's name or beside it.
fn find_stage_id(said: &Value) -> Option<&str> {
    said["stageId"]
        .as_str()
        .or_else(|| said.as_object()?.values().find_map(|value| value["stageId"].as_str()))
}
