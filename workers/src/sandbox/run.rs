//! One step, from its first process to its last: started, fed with its orders, followed, ended, and told.

use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::cgroup::Group;
use super::missing::{self, Missing};
use super::orders::{Begin, Launch, Reply};
use super::output::{KeptLog, Lines};
use super::slot::Identity;
use super::watch::{Cut, Seen};
use super::{Doing, Limits, SandboxError, Step, StepOutcome, WorkArea, bwrap, control};

/// The pause between two looks at the counters.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// The longest that the sandbox itself may take to stand: it takes 30 ms on an idle machine.
pub(super) const START_WITHIN: Duration = Duration::from_secs(60);
/// How long bubblewrap may take to see a killed init off before it is killed itself.
const SEEN_OFF_WITHIN: Duration = Duration::from_secs(2);
/// `RLIMIT_NPROC` stands above the cgroup's bound, so that it is the cgroup that refuses and counts.
const PROCESSES_ABOVE_CGROUP: u64 = 64;

impl WorkArea {
    /// Runs one step to its end and returns when no process of it lives. Blocks the calling thread; the sandbox dies
    /// when that thread does. `line` gets each line of output as it comes. Setting `cancel` ends the step at once.
    ///
    /// # Errors
    /// `Unavailable` where a wall could not be raised (nothing of the step has run then), `BadStep`, or an operation
    /// of the machine that failed. Whatever the command does is an [`StepOutcome`], never an error.
    pub fn run(
        &mut self,
        step: &Step,
        limits: &Limits,
        cancel: &AtomicBool,
        line: &mut dyn FnMut(&str),
    ) -> Result<StepOutcome, SandboxError> {
        check(step, self.slot().identity())?;
        let number = self.next_step();
        let mut running = Running::start(self, number, step, limits)?;
        let followed = running.follow(step, cancel, line);
        running.end()?;
        let cut = followed?;
        running.outcome(cut, line)
    }
}

/// Refuses what cannot be run before anything is started.
fn check(step: &Step, identity: Identity) -> Result<(), SandboxError> {
    let bad = |why: String| Err(SandboxError::BadStep(why));
    if step.argv.is_empty() {
        return bad("it names no program".to_owned());
    }
    let texts = step.argv.iter().chain(step.env.keys()).chain(step.env.values());
    if texts.chain([&step.cwd]).any(|text| text.contains('\0')) {
        return bad("an argument or variable holds a zero byte".to_owned());
    }
    if step.env.keys().any(|name| name.is_empty() || name.contains('=')) {
        return bad("a variable's name is empty or holds an equals sign".to_owned());
    }
    if !step.cwd.starts_with('/') {
        return bad(format!("the folder {} is not absolute", step.cwd));
    }
    let socket = step.network.socket();
    let found = std::fs::metadata(socket).doing(|| format!("Looking at {}", socket.display()))?;
    let reachable = found.mode() & 0o002 != 0 || found.uid() == identity.uid();
    if !found.file_type().is_socket() || !reachable {
        return bad(format!(
            "{} is not a socket that the build's uid may write to",
            socket.display()
        ));
    }
    Ok(())
}

/// A step between its first process and its last.
struct Running<'a> {
    area: &'a WorkArea,
    limits: &'a Limits,
    group: Group,
    /// The launcher, which becomes bubblewrap.
    child: Child,
    process: OwnedFd,
    control: Option<OwnedFd>,
    output: PipeReader,
    lines: Lines,
    log: KeptLog,
    seen: Seen,
    output_bytes: u64,
    started: Instant,
    /// When the command itself began.
    began: Option<Instant>,
    printed: Instant,
    ended: Instant,
    told: Option<Reply>,
}

impl<'a> Running<'a> {
    fn start(
        area: &'a WorkArea,
        number: u32,
        step: &Step,
        limits: &'a Limits,
    ) -> Result<Self, SandboxError> {
        let slot = area.slot();
        let orders = orders(area, number, step, limits)?;
        let group = Group::create(slot.parents(), &slot.group_name(number), limits)?;
        let (near, far) = control::pair().doing(|| "Making a socket pair".to_owned())?;
        let (output, writer) = std::io::pipe().doing(|| "Making a pipe".to_owned())?;
        rustix::io::ioctl_fionbio(&output, true).doing(|| "Setting up a pipe".to_owned())?;
        let errors = writer.try_clone().doing(|| "Making a pipe".to_owned())?;
        let orders = Launch { join: group.join_files(), ..orders };
        let mut command = Command::new(slot.init());
        if !Missing::Environment.is_away() {
            command.env_clear();
        }
        missing::hand_on(&mut command);
        let mut child = command
            .args(["sandbox-init", "launch"])
            .current_dir("/")
            // A terminal's Ctrl-C is for the worker, which then ends the sandbox.
            .process_group(0)
            .stdin(Stdio::from(far))
            .stdout(writer)
            .stderr(errors)
            .spawn()
            .doing(|| "Starting the sandbox".to_owned())?;
        let process = pid_of(&child)
            .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?))
            .and_then(|process| control::send(&near, &orders, None).map(|()| process))
            .inspect_err(|_| end_child(&mut child));
        let now = Instant::now();
        Ok(Self {
            process: process.doing(|| "Giving the sandbox its orders".to_owned())?,
            area,
            limits,
            group,
            child,
            control: Some(near),
            output,
            lines: Lines::default(),
            log: KeptLog::new(limits.log_bytes),
            seen: Seen::default(),
            output_bytes: 0,
            started: now,
            began: None,
            printed: now,
            ended: now,
            told: None,
        })
    }

    /// Follows the step until it ends or has to be ended.
    fn follow(
        &mut self,
        step: &Step,
        cancel: &AtomicBool,
        line: &mut dyn FnMut(&str),
    ) -> Result<Option<Cut>, SandboxError> {
        let mut looked = Instant::now();
        loop {
            let ready = self.wait()?;
            if ready.output && self.read_output(line)? {
                return Ok(Some(Cut::Output));
            }
            if ready.control {
                self.read_control(step)?;
            }
            if ready.ended {
                return Ok(None);
            }
            if cancel.load(Ordering::Relaxed) {
                return Ok(Some(Cut::Cancelled));
            }
            if looked.elapsed() >= LOOK_PAUSE {
                looked = Instant::now();
                let cut = self.seen.look(&self.group, self.area, self.limits);
                if let Some(cut) = cut.or_else(|| self.overdue()) {
                    return Ok(Some(cut));
                }
                self.check_start()?;
            }
        }
    }

    fn wait(&self) -> Result<Ready, SandboxError> {
        let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK_PAUSE.subsec_nanos()) };
        let mut sources = vec![
            PollFd::new(&self.process, PollFlags::IN),
            PollFd::new(&self.output, PollFlags::IN),
        ];
        if let Some(control) = &self.control {
            sources.push(PollFd::new(control, PollFlags::IN));
        }
        match poll(&mut sources, Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).doing(|| "Waiting for the sandbox".to_owned()),
        }
        let is_ready =
            |at: usize| sources.get(at).is_some_and(|source| !source.revents().is_empty());
        // The output's end is seen as ready again and again until the process ends, which is at once.
        Ok(Ready { ended: is_ready(0), output: is_ready(1), control: is_ready(2) })
    }

    fn overdue(&self) -> Option<Cut> {
        let began = self.began?;
        if began.elapsed() > self.limits.wall && !Missing::Clock.is_away() {
            Some(Cut::Wall)
        } else if self.printed.elapsed() > self.limits.silence && !Missing::Silence.is_away() {
            Some(Cut::Silence)
        } else {
            None
        }
    }

    fn check_start(&self) -> Result<(), SandboxError> {
        if self.began.is_none() && self.started.elapsed() > START_WITHIN {
            let late = std::io::Error::from(ErrorKind::TimedOut);
            return Err(late).doing(|| "Raising the sandbox".to_owned());
        }
        Ok(())
    }

    /// Reads what was printed; true when it was too much.
    fn read_output(&mut self, line: &mut dyn FnMut(&str)) -> Result<bool, SandboxError> {
        let mut bytes = [0; 64 * 1024];
        match self.output.read(&mut bytes) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.printed = Instant::now();
                let room = self.limits.output_bytes.saturating_sub(self.output_bytes);
                self.output_bytes += count as u64;
                let within = usize::try_from(room).unwrap_or(usize::MAX).min(count);
                let (log, seen) = (&mut self.log, &mut self.seen);
                self.lines.push(&bytes[..within], |text| keep(text, log, seen, line));
                Ok(self.output_bytes > self.limits.output_bytes && !Missing::Output.is_away())
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(false)
            }
            Err(error) => Err(error).doing(|| "Reading the step's output".to_owned()),
        }
    }

    fn read_control(&mut self, step: &Step) -> Result<(), SandboxError> {
        let Some(control) = &self.control else { return Ok(()) };
        let message = control::receive::<Reply>(control);
        match message.doing(|| "Hearing the sandbox's init".to_owned())? {
            None => self.control = None,
            Some((Reply::Ready, network)) => {
                let resolver = network.and_then(|network| self.resolver(network));
                let begin =
                    Begin { argv: step.argv.clone(), cwd: step.cwd.clone(), env: step.env.clone() };
                control::send(control, &begin, resolver.as_ref())
                    .doing(|| "Handing over the command".to_owned())?;
                let now = Instant::now();
                (self.began, self.printed) = (Some(now), now);
            }
            Some((told, _)) => self.told = Some(told),
        }
        Ok(())
    }

    /// The sandbox's DNS port. It is no wall: without it names are unknown inside all the same, but untold.
    fn resolver(&self, network: OwnedFd) -> Option<OwnedFd> {
        let opened = open_resolver(self.area, network);
        opened.inspect_err(|error| tracing::warn!(%error, "Names asked inside go unrecorded")).ok()
    }

    /// Ends everything of the step; afterwards nothing of it lives.
    fn end(&mut self) -> Result<(), SandboxError> {
        // bubblewrap last, so that it sees the init off: else the init stays as a zombie until the machine's own
        // process 1 looks for it.
        self.group.kill_all_but(self.child.id());
        is_readable(&self.process, SEEN_OFF_WITHIN);
        let emptied = self.group.kill();
        end_child(&mut self.child);
        self.ended = Instant::now();
        emptied
    }

    fn outcome(
        mut self,
        cut: Option<Cut>,
        line: &mut dyn FnMut(&str),
    ) -> Result<StepOutcome, SandboxError> {
        while self.control.is_some() && self.told.is_none() && cut.is_none() && self.has_news() {
            self.hear_last()?;
        }
        // Every writer is dead: what is left in the pipe is all there will be.
        while cut != Some(Cut::Output) && self.output_left() {
            if self.read_output(line)? {
                break;
            }
        }
        let (log, seen) = (&mut self.log, &mut self.seen);
        self.lines.finish(|text| keep(text, log, seen, line));
        self.seen.look_last(&self.group, self.area, self.limits);
        let (began, ended) = (self.began, self.ended);
        let Some(ending) = self.seen.ending(cut, self.told.as_ref(), self.limits) else {
            return Err(self.unfinished());
        };
        Ok(StepOutcome {
            ending,
            peak_memory_bytes: self.seen.peak_bytes(),
            wall: began.map_or(Duration::ZERO, |began| ended.saturating_duration_since(began)),
            refused_processes: self.seen.refused_processes(),
            output_bytes: self.output_bytes,
            log: self.take_log(),
        })
    }

    fn take_log(&mut self) -> String {
        std::mem::replace(&mut self.log, KeptLog::new(0)).into_text()
    }

    fn has_news(&self) -> bool {
        self.control.as_ref().is_some_and(|control| is_readable(control, Duration::ZERO))
    }

    fn hear_last(&mut self) -> Result<(), SandboxError> {
        let Some(control) = &self.control else { return Ok(()) };
        let message = control::receive::<Reply>(control);
        match message.doing(|| "Hearing the sandbox's init".to_owned())? {
            Some((told, _)) => self.told = Some(told),
            None => self.control = None,
        }
        Ok(())
    }

    /// Whether bytes, and not only the end, are in the pipe.
    fn output_left(&self) -> bool {
        rustix::io::ioctl_fionread(&self.output).is_ok_and(|bytes| bytes > 0)
    }

    /// The sandbox ended without a word from its init: it never stood, or something broke it.
    fn unfinished(&mut self) -> SandboxError {
        let said = self.take_log();
        let said = said.trim();
        match (self.told.take(), self.began) {
            (Some(Reply::LaunchFailed { why }), _) => SandboxError::Unavailable {
                missing: format!("the sandbox could not be launched ({why})"),
                mend: super::START_MEND.to_owned(),
            },
            (_, None) => SandboxError::Unavailable {
                missing: format!("bubblewrap could not raise the sandbox ({said})"),
                mend: super::START_MEND.to_owned(),
            },
            (_, Some(_)) => SandboxError::Io {
                doing: "Running a step in the sandbox".to_owned(),
                source: std::io::Error::other("the sandbox ended without saying how"),
            },
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Already done on every way but a panic of the caller's line callback.
        if let Err(error) = self.group.kill() {
            tracing::warn!(%error, "A step's processes could not all be ended");
        }
        end_child(&mut self.child);
    }
}

/// What is ready of a step's three sources.
struct Ready {
    ended: bool,
    output: bool,
    control: bool,
}

fn keep(text: &str, log: &mut KeptLog, seen: &mut Seen, line: &mut dyn FnMut(&str)) {
    seen.hear(text);
    log.push(text);
    line(text);
}

pub(super) fn is_readable(source: &OwnedFd, within: Duration) -> bool {
    let mut sources = [PollFd::new(source, PollFlags::IN)];
    let within = Timespec::try_from(within).expect("it is a few seconds");
    poll(&mut sources, Some(&within)).is_ok_and(|ready| ready > 0)
}

pub(super) fn pid_of(child: &Child) -> std::io::Result<Pid> {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| ErrorKind::InvalidData.into())
}

pub(super) fn end_child(child: &mut Child) {
    // Both fail only where it has ended and was waited for before.
    let _already_dead = child.kill();
    let _already_waited = child.wait();
}

fn orders(
    area: &WorkArea,
    number: u32,
    step: &Step,
    limits: &Limits,
) -> Result<Launch, SandboxError> {
    let plan = bwrap::Plan::new(area, step)?;
    let become_uid = match area.slot().identity() {
        Identity::OwnUid(uid) => Some(uid),
        Identity::Caller { .. } => None,
    };
    tracing::debug!(number, argv = ?step.argv, "A step starts");
    Ok(Launch {
        parent: i32::try_from(std::process::id()).expect("Linux numbers processes below 2^22"),
        join: Vec::new(),
        become_uid,
        staged: plan.staged,
        file_bytes: limits.file_bytes,
        processes: become_uid.map(|_| limits.processes.saturating_add(PROCESSES_ABOVE_CGROUP)),
        bwrap: bwrap::find()?,
        arguments: plan.arguments,
        command: [super::INSIDE_PROGRAM, "sandbox-init", "inside"].map(str::to_owned).to_vec(),
    })
}

fn open_resolver(area: &WorkArea, network: OwnedFd) -> Result<OwnedFd, SandboxError> {
    let (near, far) = control::pair().doing(|| "Making a socket pair".to_owned())?;
    let mut helper = Command::new(area.slot().init())
        .args(["sandbox-init", "resolver"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(network))
        .stdout(Stdio::from(far))
        .spawn()
        .doing(|| "Starting the resolver's opener".to_owned())?;
    let received = control::receive::<()>(near.as_fd());
    end_child(&mut helper);
    let resolver = received.doing(|| "Hearing the resolver's opener".to_owned())?;
    resolver.and_then(|((), socket)| socket).ok_or_else(|| SandboxError::Io {
        doing: "Opening the sandbox's DNS port".to_owned(),
        source: std::io::Error::from(ErrorKind::BrokenPipe),
    })
}
