//! Makes the data files of `scripts/bench`, with their manifests, in a folder.
//!
//! `cargo run --release --example bench-data -- FOLDER events RECORDS EVERY` (one in EVERY
//! rejected, 0 for none) or `… FOLDER profiles RECORDS PROFILES [SEED]`.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

#[path = "../benches/data/mod.rs"]
mod data;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, kind, records, more, rest @ ..] = &args[..] else {
        return Err(io::Error::other("usage: bench-data FOLDER events|profiles RECORDS EVERY"));
    };
    let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
    let (records, more) = (number(records)?, number(more)?);
    let seed = rest.first().map_or(Ok(43), |seed| number(seed))?;
    fs::create_dir_all(folder)?;
    let file = |name: String| File::create(Path::new(folder).join(name));
    let csv = BufWriter::with_capacity(1 << 20, file(format!("{kind}.csv"))?);
    let manifest = match kind.as_str() {
        "events" => {
            data::events(csv, records, more)?;
            data::EVENTS_MANIFEST
        }
        "profiles" => {
            data::profiles(csv, records, more, seed)?;
            data::PROFILES_MANIFEST
        }
        other => return Err(io::Error::other(format!("unknown kind of data: {other}"))),
    };
    io::Write::write_all(&mut file(format!("{kind}.manifest"))?, manifest.as_bytes())
}
