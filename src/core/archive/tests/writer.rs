//! Writes any tar and any gzip, right or wrong: each field of a header can be set to any bytes. It holds the pieces of
//! hand-made archives and nothing of what is expected of them.

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};

/// One member, its header's fields as bytes.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) header: [u8; 512],
    pub(super) body: Vec<u8>,
    pub(super) padding: u8,
    pub(super) checksum: Checksum,
}

#[derive(Clone, Copy)]
pub(super) enum Checksum {
    Right,
    OffByOne,
    /// Bytes taken as signed, as some old tars did.
    Signed,
    /// Left as it stands in the header.
    AsSet,
}

pub(super) const MODE: usize = 100;
pub(super) const SIZE: usize = 124;
pub(super) const TYPE: usize = 156;
pub(super) const LINK_NAME: usize = 157;
pub(super) const MAGIC: usize = 257;
pub(super) const UNAME: usize = 265;
pub(super) const PREFIX: usize = 345;
pub(super) const REST: usize = 500;

/// A file as npm 11 writes it.
pub(super) fn file(name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Member {
    let mut member = Member {
        header: [0; 512],
        body: body.as_ref().to_vec(),
        padding: 0,
        checksum: Checksum::Right,
    };
    member.put(0, name.as_ref());
    member.put(MODE, b"000644 \0");
    member.put(SIZE, format!("{:011o}\0", member.body.len()).as_bytes());
    member.put(136, b"03560116604\0");
    member.put(TYPE, b"0");
    member.put(MAGIC, b"ustar\x0000");
    member
}

/// A member of another type than a file.
pub(super) fn typed(kind: u8, name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Member {
    file(name, body).with(TYPE, [kind])
}

/// An extended header with these records, each with its right length.
pub(super) fn pax(records: &[(&str, &str)]) -> Member {
    let body: String = records.iter().map(|(key, value)| record(key, value)).collect();
    typed(b'x', "PaxHeader/x", body)
}

/// `LENGTH KEY=VALUE` and a newline.
pub(super) fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

/// A long path in GNU's way.
pub(super) fn long_path(path: &str) -> Member {
    typed(b'L', "././@LongLink", format!("{path}\0")).with(MAGIC, *b"ustar  \0")
}

/// A whole member, header and body, that would become `package/evil.js` for who takes a body for further members.
pub(super) fn nested() -> Vec<u8> {
    file("package/evil.js", "evil").bytes()
}

impl Member {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The same with these bytes at that place of its header.
    pub(super) fn with(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.put(at, bytes.as_ref());
        self
    }

    pub(super) fn padded_with(self, padding: u8) -> Self {
        Self { padding, ..self }
    }

    pub(super) fn summed(self, checksum: Checksum) -> Self {
        Self { checksum, ..self }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut header = self.header;
        header[148..156].copy_from_slice(b"        ");
        let right: i64 = header.iter().map(|&byte| i64::from(byte)).sum();
        let signed: i64 = header.iter().map(|&byte| i64::from(byte.cast_signed())).sum();
        let sum = match self.checksum {
            Checksum::Right => Some(right),
            Checksum::OffByOne => Some(right + 1),
            Checksum::Signed => Some(signed),
            Checksum::AsSet => None,
        };
        let field = sum.map(|sum| format!("{sum:06o} \0").into_bytes());
        header[148..156].copy_from_slice(field.as_deref().unwrap_or(&self.header[148..156]));
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(&self.body);
        bytes.resize(bytes.len().next_multiple_of(512), self.padding);
        bytes
    }
}

/// The members without an end mark.
pub(super) fn members(members: &[Member]) -> Vec<u8> {
    members.iter().flat_map(Member::bytes).collect()
}

/// A whole tar.
pub(super) fn tar(list: &[Member]) -> Vec<u8> {
    let mut tar = members(list);
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// What every case begins with: `package/package.json` at 0 and `package/index.js` at 1024. The next header is at
/// [`THIRD`].
pub(super) fn base() -> Vec<Member> {
    let package = r#"{"name":"case","version":"1.0.0"}"#;
    vec![file("package/package.json", package), file("package/index.js", "good")]
}

/// Where the first header after [`base`] stands.
pub(super) const THIRD: u64 = 2048;

/// [`base`] and these members in one .tgz.
pub(super) fn with_base(list: impl IntoIterator<Item = Member>) -> Vec<u8> {
    let mut all = base();
    all.extend(list);
    gzip(&tar(&all))
}

/// One right gzip member.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(data);
    let length = u32::try_from(data.len()).unwrap();
    gzip_of(0, &[], &deflate(data), crc.sum(), length)
}

/// Any gzip member.
pub(super) fn gzip_of(flags: u8, after: &[u8], deflated: &[u8], crc: u32, length: u32) -> Vec<u8> {
    let mut tgz = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 0xff];
    tgz.extend_from_slice(after);
    tgz.extend_from_slice(deflated);
    tgz.extend_from_slice(&crc.to_le_bytes());
    tgz.extend_from_slice(&length.to_le_bytes());
    tgz
}

pub(super) fn deflate(data: &[u8]) -> Vec<u8> {
    deflate_with(Compression::fast(), data)
}

pub(super) fn deflate_with(level: Compression, data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
