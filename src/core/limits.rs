//! Every bound of the system in one place: the unit stands last in the name and the reason above it. Nothing here
//! decides; whoever reads, waits or retries names its bound from this list.

/// The staged tarball as it lies on the wire. The largest hundred packages of the public registry stay below it, and
/// the npm client sends it as base64 in one JSON body that has to be held once.
pub const TARBALL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// All files of one archive together, unpacked. npm refuses nothing here, so this bound is ours: it keeps one hostile
/// archive from filling a worker's memory.
pub const UNPACKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Unpacked bytes for each packed byte. npm 11 (node-tar 7.5) aborts above 1000, however small the archive is.
pub const UNPACK_RATIO_MAX: u64 = 1000;
/// Members of one archive. The largest real packages hold some 40,000.
pub const ENTRIES_MAX: usize = 100_000;
/// One path in an archive, in bytes: longer ones do not fit on every file system that npm serves.
pub const PATH_BYTES_MAX: usize = 1024;
/// One part of a path, in bytes: the limit of ext4, APFS and NTFS.
pub const PATH_PART_BYTES_MAX: usize = 255;
/// One pax header's body. node-tar ignores larger than 1 MiB; a packer writes below 2 KiB.
pub const PAX_BYTES_MAX: u64 = 64 * 1024;
/// A package.json, for which a whole JSON tree is built.
pub const PACKAGE_JSON_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Values in one YAML file, its aliases written out. A pnpm-lock.yaml of 5 MB holds near 200,000.
pub const YAML_VALUES_MAX: usize = 2_000_000;
/// How deep YAML may nest; serde_json's own bound for JSON.
pub const YAML_DEPTH_MAX: usize = 128;
/// A lockfile. The largest seen in public repositories is near 5 MB.
pub const LOCKFILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// The npm publish document: base64 grows a tarball by 4/3, and a readme and manifest ride along.
pub const PUBLISH_DOCUMENT_BYTES_MAX: usize = 180 * 1024 * 1024;
/// How long one publish document may take to come in: npm 11 itself gives a request up after five minutes.
pub const PUBLISH_DOCUMENT_SECONDS_MAX: u64 = 5 * 60;
/// JSON values in one publish document, which a short body of brackets could otherwise turn into gigabytes. The largest
/// real manifests hold some ten thousand.
pub const PUBLISH_DOCUMENT_VALUES_MAX: usize = 100_000;
/// From the first byte of a request to the end of its headers: Apache's `RequestReadTimeout` gives 20 to 40 s.
pub const HEADER_SECONDS_MAX: u64 = 20;
/// The headers of one request. npm sends some twenty.
pub const HEADERS_MAX: usize = 100;
/// All headers of one request together, of which a read may bring some more; the largest token of a forge is below 2 KiB.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Between two pieces of a body.
pub const BODY_IDLE_SECONDS_MAX: u64 = 30;
/// A whole body: as long as the longest that is taken, the publish document.
pub const BODY_SECONDS_MAX: u64 = PUBLISH_DOCUMENT_SECONDS_MAX;
/// Connections of one service at one time; each costs two buffers and a descriptor, of which Linux gives a service
/// 524,288 by default (systemd).
pub const CONNECTIONS_MAX: usize = 16 * 1024;
/// Addresses whose requests are counted at one time, at some 100 bytes each.
pub const ADDRESSES_COUNTED_MAX: usize = 100_000;
/// Requests of one address that may come at once, in seconds of its rate: a page with its assets, an `npm install`.
pub const REQUESTS_AT_ONCE_SECONDS: u32 = 10;
/// Sign-ins of one address in a minute, beyond [`SIGN_INS_AT_ONCE_MAX`]: an office behind one address at nine o'clock.
pub const SIGN_INS_PER_MINUTE_MAX: u32 = 30;
/// Sign-ins of one address that may come at once.
pub const SIGN_INS_AT_ONCE_MAX: u32 = 30;
/// Any other JSON body that the service reads.
pub const JSON_BODY_BYTES_MAX: usize = 1024 * 1024;
/// The patch of one mend: more than this is no small change any more.
pub const MEND_BYTES_MAX: usize = 64 * 1024;
/// A file for which a text diff is made; larger ones are shown by size and digest.
pub const DIFF_BYTES_MAX: u64 = 512 * 1024;
/// Lines of one diff that a report carries; beyond it the page says how many were left out.
pub const DIFF_LINES_MAX: usize = 2_000;
/// Lines of both files together up to which a diff looks for the lines they share; beyond it only the equal beginning and
/// end are told from the middle. Code of [`DIFF_BYTES_MAX`] has some 15,000 lines; a file of line ends only would
/// take seconds.
pub const DIFF_ALIGNED_LINES_MAX: usize = 60_000;

/// Wall time of one rebuild from the first install to the packed tarball. The slowest of 79 real packages took 120 s
/// on a loaded two-core machine.
pub const REBUILD_SECONDS_MAX: u64 = 15 * 60;
/// A build step that prints nothing for so long is ended. Bundlers and compilers stay silent for a minute at most.
pub const SILENCE_SECONDS_MAX: u64 = 5 * 60;
/// Memory of one rebuild, all its processes together.
pub const REBUILD_MEMORY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Disk of one rebuild: the checkout, node_modules and everything that is built.
pub const REBUILD_DISK_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// `/tmp` inside the sandbox.
pub const REBUILD_TMP_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Processes and threads of one rebuild. A node with its thread pool has 11, a parallel bundler some hundred.
pub const REBUILD_PROCESSES_MAX: u64 = 512;
/// Bytes that a step may print in all before it is ended.
pub const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of the log that are kept: the first and the last half of it.
pub const LOG_BYTES_MAX: usize = 1024 * 1024;
/// One file that a build writes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Requests that a rebuild may make of the mirror, and that the report lists.
pub const MIRROR_REQUESTS_MAX: usize = 20_000;
/// Files that a report lists as put back before packing; a formatter that touches more is told by the first of them.
pub const REPORTED_PUT_BACK_MAX: usize = 100;
/// Requests that stand in a report; the count of the rest is named.
pub const REPORTED_REQUESTS_MAX: usize = 500;

/// Paths in which two rebuilds of one plan differ that a report names; the count of the rest stands beside them.
pub const VARYING_PATHS_MAX: usize = 200;

/// Connections that a rebuild may hold open to the mirror. npm opens 15, pnpm and yarn at most 64.
pub const MIRROR_CONNECTIONS_MAX: usize = 256;
/// One connection to the mirror ends after so long: nothing that a package manager fetches takes longer.
pub const MIRROR_CONNECTION_SECONDS_MAX: u64 = 10 * 60;
/// A client of the mirror has so long to send the head of its request.
pub const MIRROR_HEAD_SECONDS_MAX: u64 = 30;
/// The head of one request to the mirror. npm's is below 1 KiB.
pub const MIRROR_HEAD_BYTES_MAX: usize = 16 * 1024;
/// The target of one request that is kept in the record; longer ones are cut.
pub const MIRROR_TARGET_BYTES_MAX: usize = 1024;
/// Packuments that one mirror holds in memory at a time; further requests wait. Two cores render no more at once.
pub const MIRROR_DOCUMENTS_MAX: usize = 8;
/// One tarball of a dependency. The largest of the public registry that builds install are compilers near 100 MB.
pub const DEPENDENCY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// All tarballs that one rebuild may fetch. What is fetched is unpacked into [`REBUILD_DISK_BYTES_MAX`], and node_modules
/// shrink to a fifth when packed.
pub const DEPENDENCIES_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// One packument, every version of a package. The largest of the public registry are near 100 MB.
pub const PACKUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// What a machine keeps of fetched tarballs and packuments; beyond it the least lately used go.
pub const REGISTRY_CACHE_BYTES_MAX: u64 = 20 * 1024 * 1024 * 1024;
/// The archive of one `node_modules` that is kept, which the worker holds once while it writes it.
pub const KEPT_INSTALL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// All kept installs of one machine; what was used longest ago goes first.
pub const KEPT_INSTALLS_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// A download that has not been written to for so long belongs to a worker that is gone.
pub const REGISTRY_CACHE_STALE_SECONDS: u64 = 60 * 60;
/// A cached packument is taken for fresh for so long. Versions never change; only new ones come unseen.
pub const PACKUMENT_FRESH_SECONDS: u64 = 5 * 60;
/// The tarball of one toolchain. Node 24 has 51 MB.
pub const TOOLCHAIN_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How long a client waits for a connection.
pub const HTTP_CONNECT_SECONDS_MAX: u64 = 10;
/// How long a client waits for the next byte of an answer.
pub const HTTP_IDLE_SECONDS_MAX: u64 = 60;
/// Redirects that are followed one after another.
pub const HTTP_REDIRECTS_MAX: usize = 5;
/// Attempts of one request to a registry before it counts as unavailable.
pub const REGISTRY_ATTEMPTS_MAX: u32 = 3;
/// The first pause between two attempts; it doubles each time.
pub const REGISTRY_PAUSE_MILLIS: u64 = 250;

/// Bytes that the clone of one repository may have on our disk.
pub const CLONE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Wall time of one fetch of a repository.
pub const CLONE_SECONDS_MAX: u64 = 10 * 60;
/// Files of one exported tree.
pub const TREE_FILES_MAX: usize = 200_000;
/// Bytes of one exported tree.
pub const TREE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// One commit, tag or folder as git holds it. A folder of [`TREE_FILES_MAX`] names of 300 bytes is near it.
pub const GIT_OBJECT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Parents of one commit. The widest merge of public repositories has 66.
pub const COMMIT_PARENTS_MAX: usize = 1_000;
/// Tags that name one another on the way to a commit.
pub const TAG_DEPTH_MAX: usize = 32;
/// Commits that are walked to see whether a branch reaches one. The longest public history has some 1,400,000.
pub const REACHED_COMMITS_MAX: usize = 2_000_000;
/// Memory of the process that reads a repository's objects: one file of [`FILE_BYTES_MAX`], or two of half of that with a
/// delta between them, since git deltifies nothing above 512 MiB.
pub const GIT_READER_MEMORY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// How long that process may take for one object.
pub const GIT_OBJECT_SECONDS_MAX: u64 = 60;
/// How long one job may wait for that process in all.
pub const GIT_READER_SECONDS_MAX: u64 = 10 * 60;
/// One allocation of the git program. A delta of a few bytes can ask for terabytes; git packs what is larger than
/// 512 MiB without one, and reads it in pieces.
pub const GIT_ALLOCATION_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Commits that are walked to look differing files up in a history. The longest history of 79 real packages has 40,000.
pub const HISTORY_COMMITS_MAX: usize = 60_000;
/// Git trees that are looked into for the bytes of differing files.
pub const HISTORY_TREES_MAX: usize = 400_000;
/// Differing files that are looked up.
pub const HISTORY_FILES_MAX: usize = 5_000;
/// How long a history is looked through after a mismatch; beyond it nothing is said to be in no commit.
pub const HISTORY_SECONDS_MAX: u64 = 20;
/// Commits that are walked, from the newest on, to see what lies around a tag; older tags are seen from behind only.
pub const EVIDENCE_COMMITS_MAX: usize = 2_000;
/// Commits around a tag that a tarball is held against: releases are made within a few commits of their tag.
pub const EVIDENCE_NEAR_COMMITS_MAX: usize = 40;
/// How long it may take to find what a history says about the commit.
pub const EVIDENCE_SECONDS_MAX: u64 = 3;

/// A lease lives so long without a heartbeat; a dead worker's job is taken over after it.
pub const LEASE_SECONDS: u64 = 30;
/// A worker renews its lease this often: three missed beats cost the lease.
pub const HEARTBEAT_SECONDS: u64 = 10;
/// Attempts of one verification before an `inconclusive` is final.
pub const ATTEMPTS_MAX: u32 = 5;
/// Age of a verification after which an `inconclusive` is final, whatever the attempts.
pub const RETRY_HOURS_MAX: u64 = 24;
/// The first pause before another attempt; it doubles each time.
pub const RETRY_FIRST_SECONDS: u64 = 5;
/// How long a stage waits for its tag by default, in minutes; the policy may say up to 24 hours.
pub const TAG_WAIT_MINUTES: u64 = 60;
/// The longest wait for a tag that a policy may ask for.
pub const TAG_WAIT_MINUTES_MAX: u64 = 24 * 60;
/// The pause between two looks for a missing tag at first; it doubles up to [`TAG_LOOK_SECONDS_MAX`].
pub const TAG_LOOK_FIRST_SECONDS: u64 = 5;
/// The longest pause between two looks for a missing tag.
pub const TAG_LOOK_SECONDS_MAX: u64 = 60;

/// One step of a one-time code (RFC 6238).
pub const CODE_STEP_SECONDS: u64 = 30;
/// Steps of skew that are accepted on either side.
pub const CODE_SKEW_STEPS: u64 = 1;
/// Wrong codes or passwords of one account within [`GUESS_WINDOW_SECONDS`] before further ones are refused unread.
pub const GUESSES_MAX: u32 = 10;
/// The window in which guesses are counted.
pub const GUESS_WINDOW_SECONDS: u64 = 15 * 60;
/// A maintainer's session from `npm login` or the page.
pub const SESSION_HOURS: u64 = 12;
/// What was shown to a maintainer stays approvable for so long.
pub const CHALLENGE_SECONDS: u64 = 5 * 60;
/// The longest `?wait=` of the verify API.
pub const WAIT_SECONDS_MAX: u64 = 60;
/// An event stream without news sends a comment this often.
pub const EVENTS_COMMENT_SECONDS: u64 = 15;
