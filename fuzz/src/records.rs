//! Any bytes as a data file: no panic, counts that reconcile, and the same verdicts however the
//! bytes arrive and however many work on them.

use std::fmt::Write;
use std::io::{self, Read};

use sftp_import::config::{Limits, Size};
use sftp_import::manifest::Manifest;
use sftp_import::records::{
    Batch, FileStart, ReadOptions, ReadProgress, RejectedRecord, Rejections, Sink, read,
};
use sftp_import::report::Failure;

/// Inputs to begin with: two bytes of settings, then the file.
pub const SEEDS: &[&[u8]] = &[
    b"\x00\x00evtName,ts,identity,n,b,d,s\na,1578503667,x,1,true,25/12/2020,$D_1\n,,,x,y,z,\n",
    b"\x01\x03identity,n,s,s.operation\nx,1,a,$add\ny,q,\"a,\n\"\"\",$x\n",
    b"\x02\x05a,1578503667,x,1,true,,\"q\nr\"\r\nb,x,\r\n\r\n\"",
    b"\x02\x03a,1578503667,x,1,true,2020-01-08T17:14:27.5+01:00,\nb,20200108,x,,,20200108,\n",
    b"\x03\x02x,8.1.2020 17:14,1,y,a,\ny,2020-01-08,,,,\n",
    b"\x03\x08x,1,,a,$remove\nnull,1,,b,$delete\n\xff,,,,\n",
    b"\x03\x01x,1,\"a\" b,c,\"d\ne\"f,\ny,2, \"g, h\",\n\"z\nw,1\n",
    b"\x07\x02x,1,\"a \\\"b, c\\\"\\\\\",\"d\\n\"\"\",$add,\n",
    b"\x83\x03x,\"1,a \"b, \"c,,\n\"\n",
    b"\x87\x04x,a,NULL,\\N,\"\",\n",
    b"\x08\x01\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03K-K\x05\x00\x00\x00\xff\xff",
    b"\x10\x01\x28\xb5\x2f\xfd\x04\x00\x41\x00\x00identity",
    b"\x20\x02\xff\xfei\x00d\x00e\x00n\x00t\x00i\x00t\x00y\x00\n\x00\x00\xd8",
    b"\x40\x04\xef\xbb\xbfidentity;n\nx;1\n",
    // The library's word for what is broken in it depended on where a read ended.
    b"\x10\x01(\xb5/\xfd$\x00A\x00\x00identity\x00A\x00\x00i",
];

/// Reads the same file twice, in one piece and in several.
pub fn run(bytes: &[u8]) {
    let [settings, pieces, body @ ..] = bytes else { return };
    let manifest = manifest(*settings);
    // Without it few inputs come as far as a record.
    let header: &[u8] = match settings & 3 {
        2 => b"evtName,ts,identity,n,b,d,s\n",
        3 => b"identity,ts,n,b,s,s.operation\n",
        _ => b"",
    };
    let file = [header, body].concat();
    let whole = verdicts(&file[..], &manifest, 1);
    let pieces = InPieces { bytes: &file, seed: *pieces };
    assert_eq!(whole, verdicts(pieces, &manifest, 3));
}

fn manifest(settings: u8) -> Manifest {
    let data_type = if settings & 1 == 0 { "event" } else { "profile" };
    let compression = if settings & 8 != 0 {
        ".gz"
    } else if settings & 16 != 0 {
        ".zst"
    } else {
        ""
    };
    let encoding = match settings >> 5 & 3 {
        1 => r#","encoding":"utf-16""#,
        2 => r#","delimiter":";""#,
        3 => r#","encoding":"windows-1252""#,
        _ => "",
    };
    let quoting = match (settings & 128 != 0, settings & 4 != 0) {
        (false, false) => "",
        (false, true) => r#","escape":"\\""#,
        (true, false) => r#","quote":"""#,
        (true, true) => r#","null":["\\N","NULL","a"]"#,
    };
    let text = format!(
        r#"{{"type":"{data_type}","fileName":"e.csv{compression}","clientEmail":"a@b.example"{encoding}{quoting}}}"#
    );
    let mut manifest = Manifest::parse(text.as_bytes(), &Limits::default()).expect("is valid");
    // A column that the header lacks would stop most inputs: only a known header is mapped.
    if settings & 2 != 0 {
        let dates = match data_type {
            "event" => r#""d":{"dataType":"DATE"}"#,
            _ => r#""ts":{"dataType":"DATE","format":"dd.MM.yyyy"}"#,
        };
        let mapped = format!(
            r#"{{"type":"event","fileName":"e.csv","clientEmail":"a@b.example","columns":{{
            "n":{{"dataType":"INTEGER"}},"b":{{"dataType":"BOOLEAN"}},{dates}}}}}"#
        );
        let mapped = Manifest::parse(mapped.as_bytes(), &Limits::default()).expect("is valid");
        manifest.columns = mapped.columns;
    }
    manifest
}

/// Gives its bytes in pieces of 1 to 32, as `seed` has it.
struct InPieces<'a> {
    bytes: &'a [u8],
    seed: u8,
}

impl Read for InPieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.seed = self.seed.wrapping_mul(29).wrapping_add(13);
        let most = (1 + usize::from(self.seed % 32)).min(buffer.len());
        self.bytes.read(&mut buffer[..most])
    }
}

/// Returns the results of reading a file.
fn verdicts(input: impl Read + Send, manifest: &Manifest, workers: usize) -> [String; 3] {
    let limits = Limits {
        max_data_file: Size::from_bytes(100_000),
        max_record: Size::from_bytes(200),
        max_field: Size::from_bytes(100),
        ..Limits::default()
    };
    let options = ReadOptions { limits: &limits, processing_time: 1_600_000_000, workers };
    let mut sink = Recording::default();
    let result = read(input, &manifest.file_name, manifest, &options, &mut sink);
    let counts = result.as_ref().map_or_else(|stopped| stopped.so_far.counts, |done| done.counts);
    assert_eq!(counts.read, counts.accepted + counts.rejected, "counts reconcile");
    assert_eq!((counts.accepted, counts.rejected), (sink.accepts, sink.rejects));
    let result = match result {
        Ok(summary) => format!("{summary:?}"),
        // How much was read when it stopped depends on the pieces; why it stopped does not.
        Err(stopped) => stopped.failure.to_string(),
    };
    [sink.accepted, sink.rejected, result]
}

/// Keeps everything as text.
#[derive(Default)]
struct Recording {
    accepted: String,
    rejected: String,
    accepts: u64,
    rejects: u64,
    progress: ReadProgress,
}

/// Some rejected records as text.
#[derive(Clone, Default)]
struct Rejected {
    text: String,
    count: u64,
}

impl Rejections for Rejected {
    fn add(&mut self, record: &RejectedRecord<'_>) {
        self.count += 1;
        let why: Vec<_> = record.reasons.iter().map(ToString::to_string).collect();
        let why = why.join("; ");
        assert!(!why.is_empty() && !why.contains(char::is_control), "{why:?}");
        writeln!(self.text, "{} {:?} {why}", record.line, record.raw).expect("a String");
    }

    fn is_full(&self) -> bool {
        self.count == 5
    }

    fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl Sink for Recording {
    type Rejections = Rejected;

    fn begin(&mut self, start: &FileStart) -> Result<Rejected, Failure> {
        assert_eq!(start.names.is_empty(), start.header.is_empty());
        Ok(Rejected::default())
    }

    fn accept(&mut self, batch: Batch) -> Result<(), Failure> {
        self.accepts += batch.len() as u64;
        match batch {
            Batch::Events(batch) => (0..batch.num_rows()).for_each(|row| {
                writeln!(self.accepted, "{:?}", batch.slice(row, 1).columns()).expect("a String");
            }),
            Batch::Profiles(batch) => batch.iter().for_each(|record| {
                let changes: Vec<_> = record.changes().collect();
                let line = (record.line, record.at, record.ids, changes);
                writeln!(self.accepted, "{line:?}").expect("a String");
            }),
        }
        Ok(())
    }

    fn reject(&mut self, rejected: Rejected) -> Result<(), Failure> {
        self.rejects += rejected.count;
        self.rejected += &rejected.text;
        Ok(())
    }

    fn progress(&mut self, progress: ReadProgress) -> Result<(), Failure> {
        assert!(progress.bytes >= self.progress.bytes && progress.records >= self.progress.records);
        self.progress = progress;
        Ok(())
    }
}
