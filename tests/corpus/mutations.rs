//! Ten ways to change a published tarball so that it is no longer what its tag builds: each gives a whole archive that an
//! honest packer could have written. It knows nothing of how a tarball is checked.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

/// One entry of an archive as it lies in the file: a file, or a record that stands before one.
#[derive(Clone)]
struct Entry {
    header: tar::Header,
    path: String,
    bytes: Vec<u8>,
}

impl Entry {
    fn is_file(&self) -> bool {
        self.header.entry_type().is_file()
    }

    fn holds_code(&self) -> bool {
        let ends = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];
        self.is_file() && !self.bytes.is_empty() && ends.iter().any(|end| self.path.ends_with(end))
    }

    fn with(&self, bytes: Vec<u8>) -> Self {
        let mut other = self.clone();
        other.header.set_size(bytes.len() as u64);
        other.header.set_cksum();
        other.bytes = bytes;
        other
    }
}

/// The mutants of a tarball by the name of what was done. `older` is the tarball of a version before it; without one the older file is
/// the file without its last line.
///
/// # Panics
/// On what is no tarball of a package.
pub(crate) fn mutants(tarball: &[u8], older: Option<&[u8]>) -> Vec<(&'static str, Vec<u8>)> {
    let entries = read(tarball);
    let older = older.map(read);
    let done: [(&'static str, Vec<Entry>); 10] = [
        ("one-byte", one_byte(&entries)),
        ("added-file", added_file(&entries)),
        ("removed-file", removed_file(&entries)),
        ("executable-bit", executable_bit(&entries)),
        ("swapped-file", swapped_file(&entries)),
        ("changed-dependency", in_package_json(&entries, change_dependency)),
        ("added-install-script", in_package_json(&entries, add_install_script)),
        ("code-for-source-map", code_for_source_map(&entries)),
        ("older-file", older_file(&entries, older.as_deref())),
        ("whitespace-in-json", whitespace(&entries)),
    ];
    done.into_iter().map(|(name, entries)| (name, write(&entries))).collect()
}

fn read(tarball: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(GzDecoder::new(tarball));
    let entries = archive.entries().expect("a tar inside").raw(true);
    entries
        .map(|entry| {
            let mut entry = entry.expect("a whole entry");
            let header = entry.header().clone();
            let path = String::from_utf8_lossy(&header.path_bytes()).into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("all of its bytes");
            Entry { header, path, bytes }
        })
        .collect()
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for entry in entries {
        gzip.write_all(entry.header.as_bytes()).expect("memory");
        gzip.write_all(&entry.bytes).expect("memory");
        gzip.write_all(&vec![0; entry.bytes.len().next_multiple_of(512) - entry.bytes.len()])
            .expect("memory");
    }
    gzip.write_all(&[0; 1024]).expect("memory");
    gzip.finish().expect("memory")
}

/// The file that a change is made to: the first with code, else the first that is not package.json.
fn victim(entries: &[Entry]) -> usize {
    let other =
        |entry: &Entry| entry.is_file() && !entry.bytes.is_empty() && !is_package_json(entry);
    let code = entries.iter().position(Entry::holds_code);
    code.or_else(|| entries.iter().position(other)).expect("a file beside package.json")
}

fn is_package_json(entry: &Entry) -> bool {
    entry.is_file() && entry.path.split('/').skip(1).eq(["package.json"])
}

fn replaced(entries: &[Entry], at: usize, bytes: Vec<u8>) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    entries[at] = entries[at].with(bytes);
    entries
}

fn one_byte(entries: &[Entry]) -> Vec<Entry> {
    let at = victim(entries);
    let mut bytes = entries[at].bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replaced(entries, at, bytes)
}

fn added_file(entries: &[Entry]) -> Vec<Entry> {
    let like = &entries[victim(entries)];
    let top = like.path.split('/').next().unwrap_or("package");
    let mut header = like.header.clone();
    let name = format!("{top}/zz-added.js");
    header.as_mut_bytes()[..100].fill(0);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    // What lies behind the name in the header (ustar's prefix) belongs to a longer path.
    header.as_mut_bytes()[345..500].fill(0);
    let added = Entry { header, path: name, bytes: Vec::new() };
    let mut entries = entries.to_vec();
    entries.push(added.with(b"module.exports = 1\n".to_vec()));
    entries
}

fn removed_file(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    let at = victim(&entries);
    // A record that stands before a file speaks of it alone.
    let has_record = at > 0 && !entries[at - 1].is_file();
    entries.drain(if has_record { at - 1..=at } else { at..=at });
    entries
}

fn executable_bit(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    let at = victim(&entries);
    let header = &mut entries[at].header;
    let mode = header.mode().expect("an octal mode");
    header.set_mode(mode ^ 0o111);
    header.set_cksum();
    entries
}

fn swapped_file(entries: &[Entry]) -> Vec<Entry> {
    let at = victim(entries);
    let other = |entry: &&Entry| {
        entry.is_file() && entry.bytes != entries[at].bytes && !is_package_json(entry)
    };
    let other = entries
        .iter()
        .rev()
        .find(other)
        .map_or_else(|| b"\n".to_vec(), |entry| entry.bytes.clone());
    replaced(entries, at, other)
}

fn in_package_json(
    entries: &[Entry],
    change: fn(&mut serde_json::Map<String, serde_json::Value>),
) -> Vec<Entry> {
    let at = entries.iter().position(is_package_json).expect("a package.json");
    let mut package: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&entries[at].bytes).expect("an object");
    change(&mut package);
    replaced(entries, at, serde_json::to_vec_pretty(&package).expect("JSON"))
}

fn change_dependency(package: &mut serde_json::Map<String, serde_json::Value>) {
    let dependencies = package.entry("dependencies").or_insert_with(|| serde_json::json!({}));
    if let Some(dependencies) = dependencies.as_object_mut() {
        let name = dependencies.keys().next().cloned().unwrap_or_else(|| "is-number".to_owned());
        dependencies.insert(name, serde_json::json!("99.0.0"));
    }
}

fn add_install_script(package: &mut serde_json::Map<String, serde_json::Value>) {
    let scripts = package.entry("scripts").or_insert_with(|| serde_json::json!({}));
    if let Some(scripts) = scripts.as_object_mut() {
        scripts.insert("postinstall".to_owned(), serde_json::json!("node added.js"));
    }
}

fn code_for_source_map(entries: &[Entry]) -> Vec<Entry> {
    let code = b"require('child_process')\n".to_vec();
    if let Some(at) =
        entries.iter().position(|entry| entry.is_file() && entry.path.ends_with(".map"))
    {
        return replaced(entries, at, code);
    }
    let mut entries = added_file(entries);
    let last = entries.len() - 1;
    let name = entries[last].path.replace("zz-added.js", "zz-added.js.map");
    entries[last].header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    entries[last] = entries[last].with(code);
    entries
}

fn older_file(entries: &[Entry], older: Option<&[Entry]>) -> Vec<Entry> {
    let of_before = |entry: &Entry| {
        let before = older?.iter().find(|before| before.path == entry.path && before.is_file())?;
        (before.bytes != entry.bytes).then(|| before.bytes.clone())
    };
    let found =
        entries.iter().enumerate().filter(|(_, entry)| entry.is_file() && !is_package_json(entry));
    if let Some((at, bytes)) =
        found.into_iter().find_map(|(at, entry)| Some((at, of_before(entry)?)))
    {
        return replaced(entries, at, bytes);
    }
    let at = victim(entries);
    let text = &entries[at].bytes;
    let end = text[..text.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    replaced(entries, at, text[..end].to_vec())
}

fn whitespace(entries: &[Entry]) -> Vec<Entry> {
    let at = entries.iter().position(is_package_json).expect("a package.json");
    let mut bytes = entries[at].bytes.clone();
    let brace = bytes.iter().position(|byte| *byte == b'{').expect("an object");
    bytes.insert(brace + 1, b' ');
    replaced(entries, at, bytes)
}
