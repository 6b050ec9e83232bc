//! The steps of a plan in one work area: the tree is written, dependencies are installed with the mirror open, then the
//! network is closed, the scripts run, and the tarball is packed and taken out. What the endings mean stands in `ending`.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Instant, SystemTime},
};

use anyhow::Context;
use countersign_core::{
    limits::{LOCKFILE_BYTES_MAX, LOG_BYTES_MAX, REPORTED_PUT_BACK_MAX, TARBALL_BYTES_MAX},
    plan::{Clock, PACKED, Step as PlannedStep},
    rebuild::Phase,
    source::Directory,
};

use super::{
    Failure, Means, Order, clock,
    installs::{Alone, Found},
    kit::{self, Kit, Toolchain},
    put_back::Built,
    registries,
};
use crate::{
    checkout::{ExportTree, Kind},
    mirror::Mirror,
    progress::Watch,
    sandbox::{
        Entry, EntryKind, INSIDE_HOME, INSIDE_REGISTRY, INSIDE_WORK, KeptLog, Network,
        ReadOnlyBind, SandboxError, Slot, Step, StepEnding, TakeError, WorkArea,
    },
};

mod install;

/// Where the tree lies below the work area.
const TREE: &str = "source";

/// The files that `npm version` writes a version into.
const VERSIONED: [&str; 3] = ["package.json", "package-lock.json", "npm-shrinkwrap.json"];

/// What stands outside of the sandbox while the steps run.
pub(super) struct Outside<'a> {
    pub(super) mirror: &'a Mirror,
    /// Where the preloaded clock is written, if the plan asks for one.
    pub(super) clock: PathBuf,
}

/// Milliseconds of each phase; none where it was not reached.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Durations {
    pub(crate) install: Option<u64>,
    pub(crate) build: Option<u64>,
    pub(crate) pack: Option<u64>,
}

/// A step that did not end well.
#[derive(Clone, Debug)]
pub(super) struct FailedStep {
    pub(super) phase: Phase,
    pub(super) command: String,
    pub(super) ending: StepEnding,
    /// The last of what it printed.
    pub(super) said: String,
}

/// What came of the steps.
pub(super) struct Ran {
    /// The first step that did not end well.
    pub(super) failed: Option<FailedStep>,
    /// What kept the tree from being written.
    pub(super) unfit: Option<String>,
    pub(super) tarball: Option<Vec<u8>>,
    /// Tracked files that were put back before packing.
    pub(super) put_back: Vec<String>,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) log: String,
    pub(super) durations: Durations,
    pub(super) limits: crate::sandbox::Limits,
    /// The install of before that was used.
    pub(super) reused: Option<Found>,
    /// What was installed of few files, and its archive, to be kept.
    pub(super) installed: Option<(Alone, Vec<u8>)>,
}

/// How far the dependencies are.
enum Dependencies {
    /// They come when the tree is there.
    ToInstall,
    /// They came before it.
    Installed,
    /// They were installed by another rebuild of this machine.
    Kept(Found),
}

/// Runs the plan's steps one after the other. Blocks; the sandbox ends with this thread.
pub(super) fn run(
    order: &Order<'_>,
    means: &Means<'_>,
    toolchain: &Toolchain,
    outside: Outside<'_>,
    watch: Watch<'_>,
) -> Result<Ran, Failure> {
    let slot = Slot::acquire_with_init(&means.work, means.init)?;
    let area = slot.work_area(&means.limits)?;
    let mut bench = Bench {
        order,
        means,
        toolchain,
        outside,
        clock: None,
        dependencies: Dependencies::ToInstall,
        installed: None,
        planned: BTreeMap::new(),
        put_back: Vec::new(),
        watch,
        area,
        log: KeptLog::new(LOG_BYTES_MAX),
        peak_memory_bytes: None,
        durations: Durations::default(),
        started: Instant::now(),
    };
    let mut failed = bench.install_alone()?;
    let (unfit, tarball) = match failed {
        // Nothing that was built without its dependencies says anything.
        Some(_) => (None, None),
        None => match bench.write(order.tree)? {
            Written::Whole => (None, bench.build_and_pack(&mut failed)?),
            Written::Unfit(why) => (Some(why), None),
            Written::TooLarge => {
                failed = Some(does_not_fit());
                (None, None)
            }
        },
    };
    Ok(Ran {
        failed,
        unfit,
        tarball,
        put_back: bench.put_back,
        peak_memory_bytes: bench.peak_memory_bytes,
        log: bench.log.into_text(),
        durations: bench.durations,
        limits: means.limits.clone(),
        reused: match bench.dependencies {
            Dependencies::Kept(found) => Some(found),
            Dependencies::ToInstall | Dependencies::Installed => None,
        },
        installed: bench.installed,
    })
}

/// One rebuild under way.
struct Bench<'a> {
    order: &'a Order<'a>,
    means: &'a Means<'a>,
    toolchain: &'a Toolchain,
    outside: Outside<'a>,
    /// The folder of the preloaded clock, once it runs.
    clock: Option<PathBuf>,
    dependencies: Dependencies,
    installed: Option<(Alone, Vec<u8>)>,
    /// What steps of the plan itself wrote into tracked files.
    planned: BTreeMap<String, Vec<u8>>,
    put_back: Vec<String>,
    watch: Watch<'a>,
    area: WorkArea,
    log: KeptLog,
    peak_memory_bytes: Option<u64>,
    durations: Durations,
    /// When the first step began: the wall time is that of all steps together.
    started: Instant,
}

impl Bench<'_> {
    fn write(&mut self, tree: &ExportTree) -> Result<Written, Failure> {
        self.watch.doing(Phase::Checkout, "writing the tree");
        let area = &self.area;
        let full = Cell::new(false);
        let mut put = |path: &str, kind: Kind, bytes: &[u8]| -> Result<(), Failure> {
            let entry = match kind {
                Kind::File { executable } => Entry::File { bytes, executable },
                Kind::Symlink => Entry::Symlink { target: bytes },
                Kind::Submodule => Entry::Directory,
            };
            area.put(&format!("{TREE}/{path}"), &entry).map_err(|error| {
                full.set(matches!(error, SandboxError::AreaFull { .. }));
                Failure::from(error)
            })
        };
        match tree.export(&mut put) {
            Ok(Ok(())) => Ok(Written::Whole),
            Ok(Err(unfit)) => Ok(Written::Unfit(unfit.to_string())),
            // The tree's own doing: as our failure it would come back for ever.
            Err(_) if full.get() => Ok(Written::TooLarge),
            Err(failure) => Err(failure),
        }
    }

    /// After a script that failed the others are run and packing is tried all the same: tests may fail here, and a
    /// compiler that reports errors may have written everything. After a bound was met nothing more is run.
    fn build_and_pack(
        &mut self,
        failed: &mut Option<FailedStep>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let plan = self.order.plan;
        let socket = self.outside.mirror.socket().to_owned();
        *failed = self.bring_dependencies()?;
        // Nothing that was built without its dependencies says anything.
        if failed.is_some() {
            return Ok(None);
        }
        self.outside.mirror.enter(Phase::Build);
        self.start_clock()?;
        for step in &plan.build {
            let (ended, millis) =
                self.step(Phase::Build, step, Network::Refused(socket.clone()))?;
            self.note_planned(step);
            self.durations.build = Some(self.durations.build.unwrap_or(0) + millis);
            if let Some(ended) = ended {
                if !matches!(ended.ending, StepEnding::Exited(_) | StepEnding::Signalled(_)) {
                    *failed = Some(ended);
                    return Ok(None);
                }
                failed.get_or_insert(ended);
            }
        }
        if plan.put_back && !plan.build.is_empty() {
            self.put_back()?;
        }
        self.pack(failed, socket)
    }

    /// It begins with the build: the install may have taken minutes, and nothing of it depends on the time.
    fn start_clock(&mut self) -> Result<(), Failure> {
        self.clock = match self.order.plan.clock {
            Clock::Real => None,
            Clock::Preload => {
                let commit = self.order.source.commit_time;
                let written = clock::write(&self.outside.clock, SystemTime::now(), commit);
                Some(written.context("the preloaded clock cannot be written")?)
            }
        };
        Ok(())
    }

    /// Writing the version from the tag is the plan's own doing, and stays.
    fn note_planned(&mut self, step: &PlannedStep) {
        if step.argv.get(..2).is_none_or(|words| words != ["npm", "version"]) {
            return;
        }
        for name in VERSIONED {
            let path = step.cwd.join(name);
            let inside = format!("{TREE}/{path}");
            if let Ok(bytes) = self.area.take_file(&inside, LOCKFILE_BYTES_MAX) {
                self.planned.insert(path, bytes);
            }
        }
    }

    fn put_back(&mut self) -> Result<(), Failure> {
        let built = Built {
            tree: self.order.tree,
            area: &self.area,
            below: TREE,
            directory: &self.order.plan.directory,
            planned: &self.planned,
        };
        let done = built.put_back()?;
        for path in done.paths.iter().take(REPORTED_PUT_BACK_MAX) {
            self.log.push(&format!("countersign: put back as committed: {path}"));
        }
        if let Some(more) = done.paths.len().checked_sub(REPORTED_PUT_BACK_MAX).filter(|n| *n > 0) {
            self.log.push(&format!("countersign: and {more} more"));
        }
        for stuck in done.stuck.iter().take(REPORTED_PUT_BACK_MAX) {
            self.log.push(&format!("countersign: cannot be put back: {stuck}"));
        }
        self.put_back = done.paths;
        self.put_back.truncate(REPORTED_PUT_BACK_MAX);
        Ok(())
    }

    fn pack(
        &mut self,
        failed: &mut Option<FailedStep>,
        socket: PathBuf,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let plan = self.order.plan;
        let packed = PACKED.strip_prefix(INSIDE_WORK).unwrap_or(PACKED).trim_start_matches('/');
        let folder = self.inside_tree(&plan.pack.cwd);
        if let Err(error) = empty_folder(&self.area, packed) {
            self.log.push(&format!("countersign: the build left something at {PACKED}: {error}"));
            failed.get_or_insert(packed_nothing(plan.pack.argv.join(" ")));
            return Ok(None);
        }
        let before = tarballs(&self.area, &folder);
        self.outside.mirror.enter(Phase::Pack);
        let (ended, millis) = self.step(Phase::Pack, &plan.pack, Network::Refused(socket))?;
        self.durations.pack = Some(millis);
        if let Some(ended) = ended {
            failed.get_or_insert(ended);
            return Ok(None);
        }
        let mut found: Vec<String> = tarballs(&self.area, packed).into_iter().collect();
        if found.is_empty() {
            // npm up to 6 packs into the package's folder.
            found = tarballs(&self.area, &folder).difference(&before).cloned().collect();
        }
        let [path] = found.as_slice() else {
            self.log.push(&format!(
                "countersign: {} tarballs lie where one should be packed",
                found.len()
            ));
            failed.get_or_insert(packed_nothing(plan.pack.argv.join(" ")));
            return Ok(None);
        };
        self.take(path, failed)
    }

    fn take(
        &mut self,
        path: &str,
        failed: &mut Option<FailedStep>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        match self.area.take_file(path, TARBALL_BYTES_MAX) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                self.log.push(&format!("countersign: the packed tarball cannot be taken: {error}"));
                failed.get_or_insert(packed_nothing(format!("taking {path}")));
                Ok(None)
            }
        }
    }

    /// Runs one step; what it failed with, and how long it took.
    fn step(
        &mut self,
        phase: Phase,
        step: &PlannedStep,
        network: Network,
    ) -> Result<(Option<FailedStep>, u64), Failure> {
        self.step_beside(phase, step, network, None)
    }

    /// The same, with a file of the host beside it that the step may read.
    fn step_beside(
        &mut self,
        phase: Phase,
        step: &PlannedStep,
        network: Network,
        beside: Option<ReadOnlyBind>,
    ) -> Result<(Option<FailedStep>, u64), Failure> {
        let command = step.argv.join(" ");
        self.watch.doing(phase, &command);
        self.log.push(&format!("== {}: {command}", phase.as_str()));
        let Toolchain { building, packing } = self.toolchain;
        let kit = if phase == Phase::Pack { packing } else { building };
        let mut limits = self.means.limits.clone();
        limits.wall = limits.wall.saturating_sub(self.started.elapsed());
        let sandboxed = Step {
            argv: step.argv.clone(),
            cwd: format!("{INSIDE_WORK}/{}", self.inside_tree(&step.cwd)),
            env: self.environment(step, kit),
            mounts: self.mounts(kit).into_iter().chain(beside).collect(),
            network,
        };
        let (log, watch) = (&mut self.log, self.watch);
        let mut line = |text: &str| log.push(text);
        let outcome = self.area.run(&sandboxed, &limits, watch.cancel, &mut line)?;
        self.peak_memory_bytes = self.peak_memory_bytes.max(outcome.peak_memory_bytes);
        let millis = u64::try_from(outcome.wall.as_millis()).unwrap_or(u64::MAX);
        match outcome.ending {
            StepEnding::Cancelled => Err(Failure::Cancelled),
            StepEnding::MachineOutOfMemory => {
                Err(anyhow::anyhow!("the machine ran out of memory during a rebuild").into())
            }
            StepEnding::MachineOutOfDisk => Err(Failure::undetermined(
                countersign_core::finding::Code::MachineOutOfDisk,
                "The worker's disk is full.",
            )),
            ending if ending.is_success() => Ok((None, millis)),
            ending => Ok((Some(FailedStep { phase, command, ending, said: outcome.log }), millis)),
        }
    }

    fn inside_tree(&self, directory: &Directory) -> String {
        if directory.is_root() { TREE.to_owned() } else { format!("{TREE}/{directory}") }
    }

    /// The whole environment of a step. `CI` is not set: what people publish from their own machine was built without,
    /// and what CI publishes rarely asks.
    fn environment(&self, step: &PlannedStep, kit: &Kit) -> BTreeMap<String, String> {
        let epoch = self.order.source.commit_time.as_seconds().to_string();
        let own = [
            ("PATH", "/opt/bin:/usr/bin:/bin"),
            ("HOME", INSIDE_HOME),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
            ("TMPDIR", "/tmp"),
            ("SOURCE_DATE_EPOCH", epoch.as_str()),
            ("NO_UPDATE_NOTIFIER", "1"),
        ];
        let mut environment: BTreeMap<String, String> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        environment.extend(kit.environment.clone());
        environment.extend(kit::for_locked(&self.order.locked));
        // The environment goes before a project's `.npmrc` (npm reads the name in lower case, and `_` in it as `-`).
        environment.extend(
            self.order
                .scopes
                .iter()
                .map(|scope| (format!("npm_config_{scope}:registry"), INSIDE_REGISTRY.to_owned())),
        );
        environment.extend(step.env.iter().cloned());
        if self.clock.is_some() {
            let set = environment.get("NODE_OPTIONS").map(String::as_str);
            environment.insert("NODE_OPTIONS".to_owned(), clock::node_options(set));
        }
        environment
    }

    /// The tools of the step, and the clock where the plan asks for one.
    fn mounts(&self, kit: &Kit) -> Vec<ReadOnlyBind> {
        let clock = self
            .clock
            .iter()
            .map(|folder| ReadOnlyBind { host: folder.clone(), inside: clock::INSIDE.to_owned() });
        kit.mounts.iter().cloned().chain(clock).collect()
    }
}

/// What became of the tree.
enum Written {
    Whole,
    /// It may not be written to a disk.
    Unfit(String),
    /// It is larger than the work area.
    TooLarge,
}

fn does_not_fit() -> FailedStep {
    let command = "writing the tree".to_owned();
    FailedStep {
        phase: Phase::Checkout,
        command,
        ending: StepEnding::OutOfDisk,
        said: String::new(),
    }
}

fn packed_nothing(command: String) -> FailedStep {
    FailedStep { phase: Phase::Pack, command, ending: StepEnding::Exited(1), said: String::new() }
}

/// Makes a folder of the work area that holds nothing, whatever a build put in its place.
fn empty_folder(area: &WorkArea, path: &str) -> Result<(), SandboxError> {
    if let Ok(listed) = area.list(path) {
        for entry in listed {
            area.remove(&format!("{path}/{}", entry.name))?;
        }
        return Ok(());
    }
    area.remove(path)?;
    area.put(path, &Entry::Directory)
}

/// The tarballs in a folder of the work area, by their paths in it.
fn tarballs(area: &WorkArea, folder: &str) -> BTreeSet<String> {
    let listed: Result<_, TakeError> = area.list(folder);
    listed
        .unwrap_or_default()
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::File && entry.name.ends_with(".tgz"))
        .map(|entry| format!("{folder}/{}", entry.name))
        .collect()
}
