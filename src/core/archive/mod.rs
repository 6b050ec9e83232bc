//! The strict reader of a package's tarball. It accepts only what the package managers write, refuses all else with the
//! rule and the byte, and so leaves nothing on which two installers could disagree. It knows gzip, tar and what
//! `npm install` makes of a path; it knows nothing of the registry, the source or a verdict.
//!
//! The rules come from a hundred hand-made archives installed with npm 11 (node-tar 7.5): each stands in the tests with
//! what would have happened without it.

mod gzip;
mod header;
mod names;
mod pax;
mod rule;
mod tolerance;

#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use rule::is_plain;
pub use rule::{Refusal, Rule};
pub use tolerance::Tolerance;

use self::header::{BLOCK_BYTES, Block, Header, Kind};
use crate::{
    artifact::{Sha1, Sha256, Sha512},
    limits::{ENTRIES_MAX, PACKAGE_JSON_BYTES_MAX, PAX_BYTES_MAX},
    package_json::PackageJson,
};

/// A tarball that was read whole and means the same files to every installer.
pub struct Archive {
    tar: Vec<u8>,
    entries: Vec<Entry>,
    root: String,
    tolerances: Vec<Tolerance>,
    package_json: PackageJson,
    bytes: u64,
    sha512: Sha512,
    shasum: Sha1,
    tar_sha256: Sha256,
}

/// One file of an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File<'a> {
    /// The path under which npm installs it, below the package's folder.
    pub path: &'a str,
    /// Whether any execute bit is set in its header.
    pub executable: bool,
    /// Its bytes.
    pub content: &'a [u8],
}

struct Entry {
    path: String,
    executable: bool,
    offset: usize,
    length: usize,
}

/// Reads a .tgz under the bounds of [`crate::limits`].
///
/// # Errors
/// The first rule that it breaks, by its place in the bytes.
pub fn read(tgz: &[u8]) -> Result<Archive, Refusal> {
    let member = gzip::unpack(tgz)?;
    let mut reader = Reader::new(&member.data);
    reader.tolerances.extend(member.tolerance);
    reader.members()?;
    reader.collisions()?;
    let Reader { mut entries, root, mut tolerances, .. } = reader;
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let package_json = package_json(&member.data, &entries)?;
    let root = root.unwrap_or_default();
    if root != "package" {
        tolerances.push(Tolerance::RootName);
    }
    tolerances.sort_unstable();
    tolerances.dedup();
    let ((sha512, shasum), tar_sha256) =
        rayon::join(|| (Sha512::of(tgz), Sha1::of(tgz)), || Sha256::of(&member.data));
    let bytes = tgz.len() as u64;
    Ok(Archive {
        tar: member.data,
        entries,
        root,
        tolerances,
        package_json,
        bytes,
        sha512,
        shasum,
        tar_sha256,
    })
}

impl Archive {
    /// The digest of the .tgz.
    pub fn sha512(&self) -> Sha512 {
        self.sha512
    }

    /// npm's `shasum` of the .tgz: shown, never believed.
    pub fn shasum(&self) -> Sha1 {
        self.shasum
    }

    /// The length of the .tgz.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of the tar inside.
    pub fn tar_sha256(&self) -> Sha256 {
        self.tar_sha256
    }

    /// Every file, ordered by path.
    pub fn files(&self) -> impl ExactSizeIterator<Item = File<'_>> {
        self.entries.iter().map(|entry| self.file(entry))
    }

    /// The bytes of the file at that path, as installed.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        let index = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        Some(self.file(&self.entries[index]).content)
    }

    /// The name of the one root folder, `package` from every packer of today.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What was accepted although no packer of today writes it, each once.
    pub fn tolerances(&self) -> &[Tolerance] {
        &self.tolerances
    }

    /// The package.json in the root folder.
    pub fn package_json(&self) -> &PackageJson {
        &self.package_json
    }

    fn file<'a>(&'a self, entry: &'a Entry) -> File<'a> {
        let content = &self.tar[entry.offset..entry.offset + entry.length];
        File { path: &entry.path, executable: entry.executable, content }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("sha512", &self.sha512)
            .field("bytes", &self.bytes)
            .field("files", &self.entries.len())
            .finish_non_exhaustive()
    }
}

fn package_json(tar: &[u8], entries: &[Entry]) -> Result<PackageJson, Refusal> {
    let Some(entry) = entries.iter().find(|entry| entry.path == "package.json") else {
        let what = "no member is package.json in the root folder";
        return Err(Refusal::in_tar(Rule::PackageJsonMissing, tar.len(), what));
    };
    if entry.length as u64 > PACKAGE_JSON_BYTES_MAX {
        let what = format!("package.json has more than {PACKAGE_JSON_BYTES_MAX} bytes");
        return Err(Refusal::in_tar(Rule::TooLarge, entry.offset, what));
    }
    PackageJson::parse(&tar[entry.offset..entry.offset + entry.length]).map_err(|error| {
        Refusal::in_tar(Rule::PackageJsonInvalid, entry.offset, format!("package.json: {error}"))
    })
}

/// The walk over a tar's members.
struct Reader<'a> {
    tar: &'a [u8],
    at: usize,
    headers: usize,
    /// The extended header that waits for its member.
    pending: Option<pax::Records>,
    root: Option<String>,
    entries: Vec<Entry>,
    /// Every path by its collision key, with where its header stands.
    keys: Vec<Key>,
    /// The names in headers beside which an extended header names another path.
    aliases: Vec<Key>,
    tolerances: Vec<Tolerance>,
}

struct Key {
    key: String,
    path: String,
    directory: bool,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(tar: &'a [u8]) -> Self {
        Self {
            tar,
            at: 0,
            headers: 0,
            pending: None,
            root: None,
            entries: Vec::new(),
            keys: Vec::new(),
            aliases: Vec::new(),
            tolerances: Vec::new(),
        }
    }

    fn members(&mut self) -> Result<(), Refusal> {
        while let Some(block) = self.block()? {
            self.headers += 1;
            if self.headers > ENTRIES_MAX {
                let what = format!("there are more than {ENTRIES_MAX} members");
                return Err(Refusal::in_tar(Rule::TooManyEntries, self.at, what));
            }
            let header_at = self.at;
            let header = header::read(block, header_at)?;
            self.note(&header.tolerances);
            self.at += BLOCK_BYTES;
            match header.kind {
                Kind::Pax => self.extended_header(&header, header_at)?,
                Kind::PaxGlobal => self.global_header(&header, header_at)?,
                Kind::GnuLongPath => self.long_path(&header, header_at)?,
                Kind::File => self.regular_file(header, header_at)?,
                Kind::Directory => self.directory(header, header_at)?,
            }
        }
        self.end()
    }

    /// The next header, or none at the first zero block.
    fn block(&self) -> Result<Option<&'a Block>, Refusal> {
        let rest = &self.tar[self.at..];
        match rest.first_chunk::<BLOCK_BYTES>() {
            Some(block) if block.iter().all(|&byte| byte == 0) => Ok(None),
            Some(block) => Ok(Some(block)),
            None if rest.is_empty() => {
                let what = "the tar ends without two blocks of zeros";
                Err(Refusal::in_tar(Rule::End, self.at, what))
            }
            None => {
                let what = "the tar ends in the middle of a header";
                Err(Refusal::in_tar(Rule::Truncated, self.tar.len(), what))
            }
        }
    }

    /// Two blocks of zeros at least, and zeros to the very end: node-tar reads on after a single one.
    fn end(&self) -> Result<(), Refusal> {
        let rest = &self.tar[self.at..];
        if let Some(offset) = rest.iter().position(|&byte| byte != 0) {
            let what = "data follows the archive's end mark";
            return Err(Refusal::in_tar(Rule::End, self.at + offset, what));
        }
        if rest.len() < 2 * BLOCK_BYTES || !rest.len().is_multiple_of(BLOCK_BYTES) {
            let what = "the tar does not end in two whole blocks of zeros";
            return Err(Refusal::in_tar(Rule::End, self.at, what));
        }
        if self.pending.is_some() {
            let what = "an extended header is followed by no member";
            return Err(Refusal::in_tar(Rule::Pax, self.at, what));
        }
        Ok(())
    }

    /// Where the member's body lies, and steps over it and its padding.
    fn body(&mut self, size: u64) -> Result<(usize, usize), Refusal> {
        let start = self.at;
        let truncated = || {
            let what = format!("a member of {size} bytes goes beyond the end of the tar");
            Refusal::in_tar(Rule::Truncated, start, what)
        };
        let length = usize::try_from(size).map_err(|_| truncated())?;
        let end = start.checked_add(length).ok_or_else(truncated)?;
        let padded = end.checked_next_multiple_of(BLOCK_BYTES).ok_or_else(truncated)?;
        let padding = self.tar.get(end..padded).ok_or_else(truncated)?;
        if let Some(offset) = padding.iter().position(|&byte| byte != 0) {
            let what = "the padding after a member is not zero";
            return Err(Refusal::in_tar(Rule::Padding, end + offset, what));
        }
        self.at = padded;
        Ok((start, length))
    }

    fn note(&mut self, tolerances: &[Tolerance]) {
        for &tolerance in tolerances {
            if !self.tolerances.contains(&tolerance) {
                self.tolerances.push(tolerance);
            }
        }
    }

    fn extended_header(&mut self, header: &Header, at: usize) -> Result<(), Refusal> {
        if self.pending.is_some() {
            let what = "two extended headers stand before one member";
            return Err(Refusal::in_tar(Rule::Pax, at, what));
        }
        own_path(header, at)?;
        let (start, length) = self.meta_body(header)?;
        self.pending = Some(pax::read(&self.tar[start..start + length], start)?);
        Ok(())
    }

    /// A path in a member of its own, ended by the one NUL in it. Beside another extended header readers differ in which of
    /// the two they obey, so that only one may stand before a file.
    fn long_path(&mut self, header: &Header, at: usize) -> Result<(), Refusal> {
        if self.pending.is_some() || header.path != b"././@LongLink" {
            let what = "a long path stands beside another extended header or has an unknown name";
            return Err(Refusal::in_tar(Rule::Pax, at, what));
        }
        let (start, length) = self.meta_body(header)?;
        let path = match self.tar[start..start + length].split_last() {
            Some((0, path)) if !path.contains(&0) => std::str::from_utf8(path).ok(),
            Some(_) | None => None,
        };
        let Some(path) = path else {
            let what = "a long path is not UTF-8 that ends in its only NUL";
            return Err(Refusal::in_tar(Rule::Pax, start, what));
        };
        self.pending = Some(pax::Records { path: Some(path.to_owned()), size: None });
        Ok(())
    }

    /// `git archive` begins with the commit as a comment. All other global headers change what follows for some readers.
    fn global_header(&mut self, header: &Header, at: usize) -> Result<(), Refusal> {
        own_path(header, at)?;
        let (start, length) = self.meta_body(header)?;
        let is_first = self.headers == 1;
        if !is_first || !pax::is_git_comment(&self.tar[start..start + length]) {
            let what = "a global header says more than the comment of `git archive`";
            return Err(Refusal::in_tar(Rule::Pax, at, what));
        }
        self.note(&[Tolerance::GitArchiveComment]);
        Ok(())
    }

    /// The body of an extended header. node-tar ignores it above a size, and makes text of it piece by piece as it comes: a
    /// letter of several bytes that lies across two pieces is lost, and with it the record or the path. One block always
    /// comes whole.
    fn meta_body(&mut self, header: &Header) -> Result<(usize, usize), Refusal> {
        if header.size > PAX_BYTES_MAX {
            let what = format!("an extended header has more than {PAX_BYTES_MAX} bytes");
            return Err(Refusal::in_tar(Rule::Pax, self.at, what));
        }
        let (start, length) = self.body(header.size)?;
        let letter = self.tar[start..start + length].iter().position(|byte| !byte.is_ascii());
        if let Some(offset) = letter.filter(|_| length > BLOCK_BYTES) {
            let what = "an extended header of more than one block has letters beyond ASCII";
            return Err(Refusal::in_tar(Rule::Pax, start + offset, what));
        }
        Ok((start, length))
    }

    fn regular_file(&mut self, header: Header, at: usize) -> Result<(), Refusal> {
        let below = self.placed(&header, at)?;
        if below.is_empty() {
            let what = format!("file {} lies in no folder", rule::quoted(&header.path));
            return Err(Refusal::in_tar(Rule::Root, at, what));
        }
        let path = names::installed(below);
        let (offset, length) = self.body(header.size)?;
        let key = names::collision_key(&path);
        self.keys.push(Key { key, path: path.clone(), directory: false, at });
        self.entries.push(Entry { path, executable: header.executable, offset, length });
        Ok(())
    }

    fn directory(&mut self, mut header: Header, at: usize) -> Result<(), Refusal> {
        if header.size != 0 {
            let what = format!(
                "folder {} claims {} bytes of content",
                rule::quoted(&header.path),
                header.size
            );
            return Err(Refusal::in_tar(Rule::DirectorySize, at, what));
        }
        header.path.pop_if(|last| *last == b'/');
        if let Some(path) = self.pending.as_mut().and_then(|records| records.path.as_mut())
            && path.ends_with('/')
        {
            path.pop();
        }
        let path = self.placed(&header, at)?;
        let key = names::collision_key(&path);
        self.keys.push(Key { key, path, directory: true, at });
        self.note(&[Tolerance::DirectoryEntries]);
        Ok(())
    }

    /// The member's path below the root folder, from its extended header where it has one.
    fn placed(&mut self, header: &Header, at: usize) -> Result<String, Refusal> {
        let records = self.pending.take();
        if records.is_some() {
            own_path(header, at)?;
        }
        let records = records.unwrap_or_default();
        if records.size.is_some_and(|size| size != header.size) {
            let what = "the extended header gives another size than the header";
            return Err(Refusal::in_tar(Rule::Pax, at, what));
        }
        let path = records.path.as_deref().map_or(header.path.as_slice(), str::as_bytes);
        let place = names::place(path).map_err(|(rule, what)| Refusal::in_tar(rule, at, what))?;
        if records.path.is_some() {
            self.aliases.extend(alias(header, &place, at));
        }
        match &self.root {
            Some(root) if root != place.root => {
                let what = format!(
                    "path {} lies outside of the root folder {}",
                    rule::quoted(path),
                    rule::quoted(root.as_bytes())
                );
                Err(Refusal::in_tar(Rule::Root, at, what))
            }
            Some(_) => Ok(place.below),
            None => {
                self.root = Some(place.root.to_owned());
                Ok(place.below)
            }
        }
    }

    /// No two members are one file on some disk, and no file is a folder. The keys sort a folder directly before what
    /// lies in it, so that looking at neighbours is enough.
    fn collisions(&mut self) -> Result<(), Refusal> {
        self.keys.sort_unstable_by(|a, b| a.key.cmp(&b.key).then(a.at.cmp(&b.at)));
        for pair in self.keys.windows(2) {
            let [one, other] = pair else { continue };
            let both = || {
                let (first, second) = if one.at < other.at { (one, other) } else { (other, one) };
                let names = [&first.path, &second.path].map(|path| rule::quoted(path.as_bytes()));
                (second.at, names)
            };
            if one.key == other.key && one.directory == other.directory {
                let (at, [first, second]) = both();
                let what = format!("{second} is the same path as {first} before it on some disks");
                return Err(Refusal::in_tar(Rule::DuplicatePath, at, what));
            }
            let inside =
                other.key.strip_prefix(&one.key).is_some_and(|rest| rest.starts_with('\0'));
            if one.key == other.key || (inside && !one.directory) {
                let (at, [first, second]) = both();
                let what = format!("of {first} and {second}, one is a file and a folder at once");
                return Err(Refusal::in_tar(Rule::PathConflict, at, what));
            }
        }
        self.hidden_paths()
    }

    /// Who overlooks an extended header takes the header's own name. That may be cut, as packers cut it, and is never the
    /// path of another file.
    fn hidden_paths(&self) -> Result<(), Refusal> {
        for alias in &self.aliases {
            let found = self.keys.binary_search_by(|there| there.key.cmp(&alias.key));
            if found.is_ok() {
                let name = rule::quoted(alias.path.as_bytes());
                let what = format!("beside an extended header the name {name} is another file's");
                return Err(Refusal::in_tar(Rule::Pax, alias.at, what));
            }
        }
        Ok(())
    }
}

/// What the name of a header would be without the extended one beside it, where that is another path.
fn alias(header: &Header, place: &names::Place<'_>, at: usize) -> Option<Key> {
    let own = String::from_utf8_lossy(&header.path);
    let path = names::installed(names::place(own.as_bytes()).ok()?.below);
    let key = names::collision_key(&path);
    let is_other = key != names::collision_key(&names::installed(place.below.clone()));
    (is_other && !path.is_empty()).then_some(Key { key, path, directory: false, at })
}

/// The path in a header beside an extended one is no name that an installer uses, but node-tar takes a slash at its end
/// for a folder all the same.
fn own_path(header: &Header, at: usize) -> Result<(), Refusal> {
    let clean = |byte: &u8| *byte >= b' ' && *byte != 0x7f;
    if header.path.is_empty() || header.path.ends_with(b"/") || !header.path.iter().all(clean) {
        let what = format!("header name {} is no file's", rule::quoted(&header.path));
        return Err(Refusal::in_tar(Rule::Path, at, what));
    }
    Ok(())
}
