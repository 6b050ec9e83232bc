//! Any number of archives, each from a seed alone: a part of them as honest packers write them, the others with one or more
//! twists in headers, records, members, padding, end or gzip. It expects nothing: what an archive is taken for is for our
//! reader and npm to say.

use std::collections::BTreeSet;

use flate2::{Compression, Crc};

use super::{
    parts::{self, Labels, PACKERS, Packer},
    random::Random,
    twists,
    writer::{self, MAGIC, Member, file, record, typed},
};

/// So many of a thousand archives have no twist. The others are refused mostly.
const HONEST_PERMILLE: usize = 200;

/// One archive.
pub(super) struct Generated {
    pub(super) tgz: Vec<u8>,
    /// What stands in it.
    pub(super) labels: Labels,
}

/// An archive in the making.
pub(super) struct Maker {
    pub(super) random: Random,
    pub(super) packer: Packer,
    pub(super) root: String,
    pub(super) members: Vec<Member>,
    pub(super) labels: Labels,
    /// The paths of its files below the root.
    pub(super) paths: Vec<String>,
}

/// The archive of that seed.
pub(super) fn archive(seed: u64) -> Generated {
    let mut random = Random::new(seed);
    let honest = random.permille(HONEST_PERMILLE);
    let packer = *random.pick(&PACKERS);
    let mut maker = Maker {
        random,
        packer,
        root: "package".to_owned(),
        members: Vec::new(),
        labels: Labels::new(),
        paths: Vec::new(),
    };
    maker.fill(seed);
    if honest {
        let tar = maker.end(writer::members(&maker.members));
        let tgz = maker.gzip(&tar);
        return Generated { tgz, labels: maker.labels };
    }
    maker.labels.insert("hostile and accepted".to_owned());
    let tgz = twists::twisted(&mut maker);
    Generated { tgz, labels: maker.labels }
}

impl Maker {
    /// The files, in any order.
    fn fill(&mut self, seed: u64) {
        if self.random.permille(60) {
            self.root =
                (*self.random.pick(&["sample-1.0.0", "Packet", "a b", "日本", ".x"])).to_owned();
            self.labels.insert("another root".to_owned());
        }
        let count = match self.random.below(1000) {
            0..150 => 0,
            150..700 => 1 + self.random.below(3),
            700..970 => 4 + self.random.below(6),
            _ => 19 + self.random.below(60),
        };
        for number in 0..count {
            let path = parts::path(&mut self.random, number);
            let is_new = self.paths.iter().all(|there| !collides(there, &path));
            if is_new {
                self.paths.push(path);
            }
        }
        let words = match self.paths.len() {
            0 => "1 file",
            1..4 => "2 to 4 files",
            4..19 => "5 to 19 files",
            _ => "20 files and more",
        };
        self.labels.insert(words.to_owned());
        let place = self.random.below(self.paths.len() + 1);
        for (number, path) in self.paths.clone().iter().enumerate() {
            if number == place {
                self.add_package_json(seed);
            }
            self.add_folders(path);
            let body = parts::content(&mut self.random, &mut self.labels);
            self.add(path, body);
        }
        if place == self.paths.len() {
            self.add_package_json(seed);
        }
        self.dress();
    }

    /// One file below the root.
    pub(super) fn add(&mut self, path: &str, body: Vec<u8>) {
        let path = format!("{}/{path}", self.root);
        let placed = parts::placed(&mut self.random, self.packer, &path, body, &mut self.labels);
        self.members.extend(placed);
    }

    fn add_package_json(&mut self, seed: u64) {
        let mut text = format!(r#"{{"name":"case-{seed}","version":"1.0.0""#);
        if let Some(path) = self.paths.first().filter(|_| self.random.permille(150)) {
            let path = serde_json::to_string(path).unwrap();
            let dotted = format!("\"./{}", &path[1..]);
            text += &match self.random.below(3) {
                0 => format!(r#","bin":{path}"#),
                1 => format!(r#","bin":{{"program-{seed}":{dotted}}}"#),
                _ => format!(r#","bin":{{"program-{seed}":{path},"other-{seed}":"absent.js"}}"#),
            };
            self.labels.insert("a program".to_owned());
        }
        text += "}";
        let mark = if self.random.permille(30) { "\u{feff}" } else { "" };
        self.add("package.json", format!("{mark}{text}").into_bytes());
    }

    /// Sometimes the folders of a path, each once, as old packers write them.
    fn add_folders(&mut self, path: &str) {
        if !self.random.permille(20) {
            return;
        }
        let known: BTreeSet<Vec<u8>> = self.members.iter().map(name_of).collect();
        for (at, _) in path.match_indices('/') {
            let folder = format!("{}/{}", self.root, &path[..at]);
            if folder.len() < 99 && !known.contains(folder.as_bytes()) {
                self.labels.insert("folders".to_owned());
                self.members.push(parts::folder(&mut self.random, &folder));
            }
        }
    }

    /// What stands around the files of some archives.
    fn dress(&mut self) {
        if self.random.permille(40) {
            self.labels.insert("comment of git archive".to_owned());
            let comment = record("comment", &"0123456789abcdef0123456789abcdef01234567"[..40]);
            self.members.insert(0, typed(b'g', "pax_global_header", comment));
        }
        if self.random.permille(40) {
            let gnu = |member: &Member| member.header[345..500].iter().all(|&byte| byte == 0);
            for at in 0..self.members.len() {
                let is_file = matches!(self.members[at].header[writer::TYPE], b'0' | b'5');
                if is_file && gnu(&self.members[at]) {
                    self.labels.insert("GNU's headers".to_owned());
                    self.members[at] = self.members[at].clone().with(MAGIC, b"ustar  \0");
                }
            }
        }
    }

    /// A whole tar of these members, with the end that packers write.
    pub(super) fn end(&mut self, mut tar: Vec<u8>) -> Vec<u8> {
        let length = tar.len() + 1024;
        let tape = self.random.permille(300);
        tar.resize(if tape { length.next_multiple_of(10_240) } else { length }, 0);
        tar
    }

    /// One right gzip member around it.
    pub(super) fn gzip(&mut self, tar: &[u8]) -> Vec<u8> {
        let level = self.random.below(10);
        if level == 0 {
            self.labels.insert("gzip stored".to_owned());
        }
        let deflated = writer::deflate_with(Compression::new(u32::try_from(level).unwrap()), tar);
        let mut crc = Crc::new();
        crc.update(tar);
        let length = u32::try_from(tar.len()).unwrap();
        if self.random.permille(40) {
            self.labels.insert("gzip with a file name".to_owned());
            return writer::gzip_of(8, b"package.tar\0", &deflated, crc.sum(), length);
        }
        writer::gzip_of(0, &[], &deflated, crc.sum(), length)
    }

    /// A file of the archive that is to be hidden, in the end, behind something harmless.
    pub(super) fn some_path(&mut self) -> String {
        if self.paths.is_empty() {
            return "package.json".to_owned();
        }
        self.random.pick(&self.paths).clone()
    }

    /// The same with its root folder.
    pub(super) fn some_place(&mut self) -> String {
        let path = self.some_path();
        format!("{}/{path}", self.root)
    }

    /// A file with evil content under these bytes as its name.
    pub(super) fn evil(name: impl AsRef<[u8]>) -> Member {
        let name = name.as_ref();
        file(&name[..name.len().min(100)], "evil")
    }
}

/// The name in a member's header.
pub(super) fn name_of(member: &Member) -> Vec<u8> {
    member.header[..100].iter().copied().take_while(|&byte| byte != 0).collect()
}

/// Whether two paths cannot stand beside one another in an honest package.
fn collides(one: &str, other: &str) -> bool {
    let key = |path: &str| path.to_lowercase().replace(".gitignore", ".npmignore");
    let (one, other) = (key(one), key(other));
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    one == other || inside(&one, &other) || inside(&other, &one)
}
