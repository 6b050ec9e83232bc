//! How dependencies come onto the disk: by the plan's command in the tree, or, where installs of this machine may be used again, by that
//! command before the tree is there, or out of an archive of before. What an install depends on is not decided here.

use countersign_core::{
    limits::{KEPT_INSTALL_BYTES_MAX, LOCKFILE_BYTES_MAX},
    plan::{ABOVE_TREE, Install, Step as PlannedStep},
    rebuild::Phase,
    source::Directory,
};

use super::{Bench, Dependencies, FailedStep, Failure, TREE, Written, registries};
use crate::{
    rebuild::installs::{self, Alone, Found},
    sandbox::{Entry, Network, ReadOnlyBind},
};

/// The archive as it is made, in the work area.
const MADE: &str = "kept-install.tar";
/// The archive of before, as the sandbox sees it.
const BESIDE: &str = "/opt/kept-install.tar";
/// The file in which npm notes what it installed, with the version of the package that it did it for.
const NOTE: &str = "node_modules/.package-lock.json";

impl Bench<'_> {
    /// Where an install depends on few files alone, finds it, or makes it of these before anything else is there.
    /// What it failed with, if it did.
    pub(super) fn install_alone(&mut self) -> Result<Option<FailedStep>, Failure> {
        let Some(kept) = self.means.installs else { return Ok(None) };
        let registries = self.means.upstream.registries();
        let Some(alone) = installs::alone(self.order, registries)? else { return Ok(None) };
        if let Some(found) = kept.find(alone.key, self.order.subject) {
            self.dependencies = Dependencies::Kept(found);
            return Ok(None);
        }
        match self.write(&alone.tree)? {
            Written::Whole => {}
            // The whole tree will say so.
            Written::Unfit(_) | Written::TooLarge => return Ok(None),
        }
        let failed = self.install()?;
        if failed.is_none() {
            self.dependencies = Dependencies::Installed;
            self.installed = self.archived(alone)?;
        }
        Ok(failed)
    }

    /// What of the install is left to do when the tree is there. What it failed with, if it did.
    pub(super) fn bring_dependencies(&mut self) -> Result<Option<FailedStep>, Failure> {
        match &self.dependencies {
            Dependencies::ToInstall => self.install(),
            Dependencies::Installed => Ok(None),
            Dependencies::Kept(found) => {
                let found = found.clone();
                self.unpack(&found).map(|()| None)
            }
        }
    }

    /// Runs the plan's own command, with the mirror open.
    fn install(&mut self) -> Result<Option<FailedStep>, Failure> {
        let (Install::Lockfile { directory, argv, .. } | Install::AsOfCutoff { directory, argv }) =
            &self.order.plan.install
        else {
            return Ok(None);
        };
        let step = PlannedStep { argv: argv.clone(), cwd: directory.clone(), env: Vec::new() };
        let changed = registries::lead_to_mirror(&self.area, TREE, directory)?;
        let network = Network::Mirror(self.outside.mirror.socket().to_owned());
        let (failed, millis) = self.step(Phase::Install, &step, network)?;
        changed.put_back(&self.area)?;
        self.durations.install = Some(millis);
        Ok(failed)
    }

    /// The archive of what was installed. None where it cannot be made or is too large: then it is not kept.
    fn archived(&mut self, alone: Alone) -> Result<Option<(Alone, Vec<u8>)>, Failure> {
        let file = format!("{ABOVE_TREE}/{MADE}");
        let step = self.tar(&["--create", "--file", &file, "node_modules"]);
        let network = Network::Refused(self.outside.mirror.socket().to_owned());
        let (failed, _) = self.step(Phase::Install, &step, network)?;
        let archive = self.area.take_file(MADE, KEPT_INSTALL_BYTES_MAX).ok();
        self.area.remove(MADE)?;
        Ok(archive.filter(|_| failed.is_none()).map(|archive| (alone, archive)))
    }

    /// Unpacks an archive of before.
    fn unpack(&mut self, found: &Found) -> Result<(), Failure> {
        self.log.push(&format!("countersign: this is the kept install {}", found.key));
        let step = self.tar(&["--extract", "--file", BESIDE]);
        let network = Network::Refused(self.outside.mirror.socket().to_owned());
        let beside = ReadOnlyBind { host: found.archive.clone(), inside: BESIDE.to_owned() };
        let (failed, millis) = self.step_beside(Phase::Install, &step, network, Some(beside))?;
        self.durations.install = Some(millis);
        if let Some(failed) = failed {
            let what =
                format!("the kept install {} cannot be unpacked: {}", found.key, failed.said);
            return Err(anyhow::anyhow!(what).into());
        }
        self.correct_note(found)
    }

    /// npm notes the version of the package that it installs for, which is another one now.
    fn correct_note(&mut self, found: &Found) -> Result<(), Failure> {
        let directory = self.installed_in();
        let path = format!("{}/{NOTE}", self.inside_tree(&directory));
        let package = format!("{}/package.json", self.inside_tree(&directory));
        let take = |path: &str| {
            let bytes = self.area.take_file(path, LOCKFILE_BYTES_MAX).ok()?;
            String::from_utf8(bytes).ok()
        };
        let (Some(note), Some(package)) = (take(&path), take(&package)) else { return Ok(()) };
        let package: serde_json::Value = serde_json::from_str(&package).unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        let line =
            |version: &str| format!("\n  \"version\": {},\n", serde_json::Value::from(version));
        let corrected = note.replacen(&line(&found.version), &line(version), 1);
        let entry = Entry::File { bytes: corrected.as_bytes(), executable: false };
        Ok(self.area.put(&path, &entry)?)
    }

    fn tar(&self, words: &[&str]) -> PlannedStep {
        let argv = ["tar"].iter().chain(words).map(|&word| word.to_owned()).collect();
        PlannedStep { argv, cwd: self.installed_in(), env: Vec::new() }
    }

    /// The folder whose package.json is installed.
    fn installed_in(&self) -> Directory {
        match &self.order.plan.install {
            Install::Lockfile { directory, .. } | Install::AsOfCutoff { directory, .. } => {
                directory.clone()
            }
            Install::None => Directory::default(),
        }
    }
}
