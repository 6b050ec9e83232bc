//! Writes ten mutants of a tarball into a folder, with the table that `countersign check --batch` takes. See README.md beside it.

#[path = "mutations.rs"]
mod mutations;

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tarball, row, into, older @ ..] = arguments.as_slice() else {
        return Err("usage: mutants FILE.tgz 'NAME<tab>VERSION<tab>REPOSITORY<tab>TAG<tab>DIRECTORY' FOLDER [OLDER.tgz]".into());
    };
    let older = older.first().map(fs::read).transpose()?;
    fs::create_dir_all(into)?;
    let mut table = "name\tversion\trepository\ttag\tdirectory\ttarball\n".to_owned();
    for (name, bytes) in mutations::mutants(&fs::read(tarball)?, older.as_deref()) {
        let path = Path::new(into).join(format!("{name}.tgz"));
        fs::write(&path, bytes)?;
        table += &format!("{row}\t{}\n", path.display());
    }
    fs::write(Path::new(into).join("table.tsv"), table)?;
    Ok(())
}
