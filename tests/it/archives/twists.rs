//! What an attacker does to an archive: one twist in a header, a record, a member, the padding, the end or the gzip around it,
//! sometimes several. Checksums, lengths and CRC are right again after most of them, so that a reader does not stop there.

use flate2::Crc;

use super::{
    generate::{Maker, name_of},
    writer::{
        self, Checksum, LINK_NAME, MAGIC, MODE, Member, PREFIX, SIZE, TYPE, file, long_path,
        nested, pax, record, typed,
    },
};

type Twist = fn(&mut Maker);

const ON_MEMBERS: &[Twist] = &[
    any_byte,
    any_byte,
    any_byte,
    odd_number,
    other_kind,
    second_copy,
    evil_name,
    evil_name,
    odd_record,
    odd_record,
    name_header,
    hidden_member,
    swapped,
    link_name,
    odd_magic,
    odd_prefix,
    dirty_padding,
    odd_mode,
    torn_letter,
    no_package_json,
    odd_package_json,
    folder_with_content,
];

/// The archive with one to three twists.
pub(super) fn twisted(maker: &mut Maker) -> Vec<u8> {
    let count = [1, 1, 1, 2, 2, 3][maker.random.below(6)];
    let (mut in_tar, mut in_gzip) = (false, false);
    for _ in 0..count {
        match maker.random.below(10) {
            0..8 => maker.random.pick(ON_MEMBERS)(maker),
            8 => in_tar = true,
            _ => in_gzip = true,
        }
    }
    let tar = writer::members(&maker.members);
    let tar = if in_tar { odd_tar(maker, tar) } else { maker.end(tar) };
    if in_gzip { odd_gzip(maker, &tar) } else { maker.gzip(&tar) }
}

fn some(maker: &mut Maker) -> usize {
    maker.random.below(maker.members.len())
}

/// Puts a member somewhere, mostly at the end.
fn insert(maker: &mut Maker, members: Vec<Member>) {
    let length = maker.members.len();
    let at = if maker.random.permille(600) { length } else { maker.random.below(length + 1) };
    maker.members.splice(at..at, members);
}

fn any_byte(maker: &mut Maker) {
    let at = some(maker);
    let place = maker.random.below(512);
    let value = match maker.random.below(4) {
        0 => maker.random.byte(),
        1 => maker.members[at].header[place] ^ (1 << maker.random.below(8)),
        _ => *maker.random.pick(b"\0 /0157xgLKN.\\:\x80\xff\n"),
    };
    maker.members[at] = maker.members[at].clone().with(place, [value]);
    if maker.random.permille(50) {
        let sums = [Checksum::OffByOne, Checksum::AsSet];
        maker.members[at].checksum = *maker.random.pick(&sums);
    }
}

fn odd_number(maker: &mut Maker) {
    const FORMS: &[&[u8; 12]] = &[
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"           \0",
        b"        644\0",
        b"08000000000\0",
        b"0x000000200\0",
        b"-0000000001\0",
        b"+0000000001\0",
        b"0000005 9x\0\0",
        b"000000002000",
        b"\x80\0\0\0\0\0\0\0\0\0\x04\0",
        b"\xc0\0\0\0\0\0\0\0\0\0\x04\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"00000000000\0",
        b"1\0          ",
        b"00000001000\n",
        b"\x80\0\0\0\x80\x24\x9a\x01\0\0\0\0",
    ];
    let at = some(maker);
    let (place, width) = *maker.random.pick(&[
        (SIZE, 12),
        (SIZE, 12),
        (SIZE, 12),
        (136, 12),
        (MODE, 8),
        (108, 8),
        (116, 8),
        (329, 8),
    ]);
    let form = *maker.random.pick(FORMS);
    maker.members[at] = maker.members[at].clone().with(place, &form[..width]);
    if maker.random.permille(500) && maker.members[at].header[TYPE] == b'0' {
        maker.members[at].body = nested();
    }
}

fn other_kind(maker: &mut Maker) {
    let at = some(maker);
    let kind = *maker.random.pick(b"\x001234567AgxLKNXSDVMZ0\xff");
    maker.members[at] = maker.members[at].clone().with(TYPE, [kind]);
}

fn second_copy(maker: &mut Maker) {
    let at = some(maker);
    let mut copy = maker.members[at].clone();
    if copy.header[TYPE] == b'0' && copy.body.len() >= 4 {
        copy.body[..4].copy_from_slice(b"evil");
    }
    insert(maker, vec![copy]);
}

fn evil_name(maker: &mut Maker) {
    let path = maker.some_path();
    let root = maker.root.clone();
    let upper = path.to_uppercase();
    let names = [
        format!("{root}/{path}"),
        format!("{root}/{upper}"),
        format!("{root}//{path}"),
        format!("{root}/./{path}"),
        format!("./{root}/{path}"),
        format!("/{root}/{path}"),
        format!("other/{path}"),
        format!("{root}/x/../{path}"),
        format!("{root}/{path}/"),
        format!("{root}/{path}."),
        format!("{root}/{path} "),
        format!("{root}/c:{path}"),
        format!("{root}/c:/{path}"),
        format!(r"{root}\{path}"),
        format!("{root}/{path}/child.js"),
        format!("{root}/{}", path.replace('é', "e\u{301}")),
        format!("{root}/{path}\u{200d}"),
        format!("{root}/.gitignore"),
        format!("{root}/.npmignore"),
        format!("{root}/lib/.npmignore"),
        format!("{root}/{path}\0x"),
        format!("{root}/{path}\n"),
        path.clone(),
        root.clone(),
        format!("{root}/.."),
        format!("../{path}"),
        format!("{root}/{path}\u{2028}"),
        format!("{root}/Package.json"),
        format!("{root}/{}", path.replace("ü", "u\u{308}")),
        format!("{root}/lib"),
        format!("{root}/node_modules"),
    ];
    let name = maker.random.pick(&names).clone();
    let member = match maker.random.below(6) {
        0 => vec![pax(&[("path", name.as_str())]), Maker::evil(format!("{root}/n.txt"))],
        1 => vec![long_path(&name), Maker::evil(format!("{root}/n.txt"))],
        2 => vec![Maker::evil([name.as_bytes(), b"\xff"].concat())],
        _ => vec![Maker::evil(name)],
    };
    insert(maker, member);
}

fn odd_record(maker: &mut Maker) {
    let root = maker.root.clone();
    let (path, new) = (maker.some_path(), format!("{root}/docs.txt"));
    let there = format!("{root}/{path}");
    let records: [Vec<(&str, &str)>; 16] = [
        vec![("path", &new), ("path", &there)],
        vec![("path", &there)],
        vec![("path", &new)],
        vec![("size", "0")],
        vec![("size", "4")],
        vec![("size", "0x4")],
        vec![("size", "1e0")],
        vec![("size", "-1")],
        vec![("size", " 4")],
        vec![("GNU.sparse.name", &new)],
        vec![("linkpath", "x")],
        vec![("mode", "0777"), ("type", "5")],
        vec![("path", &new), ("charset", "x")],
        vec![("hdrcharset", "BINARY"), ("path", &new)],
        vec![("SCHILY.xattr.user.x", "1")],
        vec![("path", ""), ("mtime", "NaN")],
    ];
    let records = maker.random.pick(&records).clone();
    let mut header = pax(&records);
    match maker.random.below(8) {
        0 => header.body = [header.body, b"7 x".to_vec()].concat(),
        1 => header.body = [b"99 path=package/docs.txt\n".to_vec(), header.body].concat(),
        2 => header.body = record("path", &format!("{there}\0.txt")).into_bytes(),
        3 => header.body = record("path", &format!("{new}\n{there}")).into_bytes(),
        _ => {}
    }
    let size = format!("{:011o}\0", header.body.len());
    let kind = *maker.random.pick(b"xxxxxxgX");
    let header = header.with(SIZE, size).with(TYPE, [kind]);
    let own = if maker.random.permille(500) { there } else { format!("{root}/n.txt") };
    match maker.random.below(3) {
        // Before a file of the archive.
        0 => insert(maker, vec![header]),
        1 => insert(maker, vec![header, Maker::evil(own)]),
        _ => insert(maker, vec![header.clone(), long_path(&own), header, Maker::evil(own)]),
    }
}

fn name_header(maker: &mut Maker) {
    let there = maker.some_place();
    let kind = *maker.random.pick(b"LLKNX");
    let header = long_path(&there).with(TYPE, [kind]);
    let header =
        if maker.random.permille(300) { header.with(MAGIC, b"ustar\x0000") } else { header };
    let file = Maker::evil(format!("{}/n.txt", maker.root));
    if maker.random.permille(500) {
        insert(maker, vec![header, file]);
    } else {
        insert(maker, vec![header]);
    }
}

/// A body that is members for who takes its size for another.
fn hidden_member(maker: &mut Maker) {
    let body = [nested(), nested()].concat();
    let size = [0, 512, 1024, body.len(), body.len() + 512][maker.random.below(5)];
    let kind = *maker.random.pick(b"0000125367");
    let member = typed(kind, format!("{}/blob.bin", maker.root), body);
    insert(maker, vec![member.with(SIZE, format!("{size:011o}\0"))]);
}

fn swapped(maker: &mut Maker) {
    let (one, other) = (some(maker), some(maker));
    maker.members.swap(one, other);
}

fn link_name(maker: &mut Maker) {
    let at = some(maker);
    let name = *maker.random.pick(&["foo", "/etc/passwd", "\0x", " "]);
    maker.members[at] = maker.members[at].clone().with(LINK_NAME, name);
}

fn odd_magic(maker: &mut Maker) {
    const MAGICS: &[&[u8; 8]] = &[
        b"ustar  \0",
        b"ustar\x0001",
        b"ustar\0\0\0",
        b"\0\0\0\0\0\0\0\0",
        b"USTAR\x0000",
        b"ustar 00",
    ];
    let at = some(maker);
    let magic = *maker.random.pick(MAGICS);
    maker.members[at] = maker.members[at].clone().with(MAGIC, magic);
}

fn odd_prefix(maker: &mut Maker) {
    let at = some(maker);
    let prefix = match maker.random.below(5) {
        0 => maker.root.clone().into_bytes(),
        1 => format!("{}/lib", maker.root).into_bytes(),
        2 => vec![b'p'; 155],
        3 => b"package\0x".to_vec(),
        _ => maker.random.bytes(12),
    };
    let place = if maker.random.permille(800) { PREFIX } else { PREFIX + 131 };
    let room = 512 - place;
    maker.members[at] = maker.members[at].clone().with(place, &prefix[..prefix.len().min(room)]);
}

fn dirty_padding(maker: &mut Maker) {
    let at = some(maker);
    maker.members[at].padding = maker.random.byte();
}

fn odd_mode(maker: &mut Maker) {
    let at = some(maker);
    let mode = *maker.random.pick(&[
        b"006777 \0",
        b"001755 \0",
        b"002644 \0",
        b"0120777\0",
        b"0040755\0",
        b"0100755\0",
    ]);
    maker.members[at] = maker.members[at].clone().with(MODE, mode);
}

/// A letter of several bytes in an extended header of more than one block, just where node hands the parser its next piece.
fn torn_letter(maker: &mut Maker) {
    let there = maker.some_place();
    let folders = format!("{}/{}/{}/", maker.root, "d".repeat(200), "e".repeat(200));
    let shift = maker.random.below(4);
    let path = format!("{folders}{}ü.js", "f".repeat(502 - folders.len() - shift));
    let header =
        if maker.random.permille(700) { pax(&[("path", &path)]) } else { long_path(&path) };
    let before = writer::members(&maker.members).len();
    let piece = before.next_multiple_of(16_384);
    let filler =
        if piece - before >= 1536 { piece - before - 1536 } else { piece + 16_384 - before - 1536 };
    let filler = file(format!("{}/filler", maker.root), vec![b'z'; filler]);
    maker.members.extend([filler, header, Maker::evil(there)]);
}

fn no_package_json(maker: &mut Maker) {
    maker.members.retain(|member| !name_of(member).ends_with(b"/package.json"));
    if maker.members.is_empty() {
        maker.members.push(Maker::evil("package/a.js"));
    }
}

fn odd_package_json(maker: &mut Maker) {
    let texts = [
        r#"{"name":"a","name":"b","version":"1.0.0"}"#,
        "[]",
        "",
        "{}x",
        "\u{feff}\u{feff}{}",
        r#"{"__proto__":{"name":"x"}}"#,
    ];
    let text = *maker.random.pick(&texts);
    let root = maker.root.clone();
    let found = maker.members.iter().position(|member| name_of(member).ends_with(b"/package.json"));
    if let Some(at) = found {
        maker.members[at] = file(format!("{root}/package.json"), text);
    }
}

fn folder_with_content(maker: &mut Maker) {
    let name = format!("{}/folder/", maker.root);
    let kind = *maker.random.pick(b"550D");
    let body = if maker.random.permille(500) { nested() } else { Vec::new() };
    insert(maker, vec![typed(kind, name, body)]);
}

/// Cut, doubled or dirty blocks, and ends that are none.
fn odd_tar(maker: &mut Maker, mut tar: Vec<u8>) -> Vec<u8> {
    let blocks = tar.len() / 512;
    let at = 512 * maker.random.below(blocks + 1);
    match maker.random.below(9) {
        0 => tar.truncate(maker.random.below(tar.len() + 1)),
        1 => drop(tar.splice(at..at, [0; 512])),
        2 => drop(tar.splice(at..at, [0; 1024])),
        3 => drop(tar.splice(at..at, nested())),
        4 if at < tar.len() => drop(tar.drain(at..at + 512)),
        5 => {
            let place = maker.random.below(tar.len());
            tar[place] ^= 1 << maker.random.below(8);
        }
        6 => {
            tar.resize(tar.len() + [0, 511, 512, 513, 1000][maker.random.below(5)], 0);
            return tar;
        }
        7 => {
            let mut ended = maker.end(tar);
            let last = ended.len() - 1 - maker.random.below(1024);
            ended[last] = maker.random.byte();
            return ended;
        }
        _ => {
            let zeros = [512, 1024][maker.random.below(2)];
            tar.resize(tar.len() + zeros, 0);
            tar.extend(nested());
        }
    }
    maker.end(tar)
}

fn odd_gzip(maker: &mut Maker, tar: &[u8]) -> Vec<u8> {
    let good = maker.gzip(tar);
    let mut crc = Crc::new();
    crc.update(tar);
    let (sum, length) = (crc.sum(), u32::try_from(tar.len()).unwrap());
    let deflated = writer::deflate(tar);
    match maker.random.below(10) {
        0 => {
            let at = 512 * maker.random.below(tar.len() / 512 + 1);
            [writer::gzip(&tar[..at]), writer::gzip(&tar[at..])].concat()
        }
        1 => [good, writer::gzip(tar)].concat(),
        2 => [good, vec![0; 1 + maker.random.below(600)]].concat(),
        3 => [good, b"junk".to_vec()].concat(),
        4 => writer::gzip_of(0, &[], &deflated, sum ^ 1, length),
        5 => writer::gzip_of(0, &[], &deflated, sum, length ^ 1),
        6 => writer::gzip_of(
            *maker.random.pick(&[1, 2, 4, 16, 24, 32, 64, 128]),
            b"\x02\0xy\0",
            &deflated,
            sum,
            length,
        ),
        7 => tar.to_vec(),
        8 => {
            let at = maker.random.below(good.len());
            let mut good = good;
            good[at] ^= 1 << maker.random.below(8);
            good
        }
        _ => good[..maker.random.below(good.len())].to_vec(),
    }
}
