//! Recognises files of other formats that partners upload instead of CSV. The format is recognised
//! from the first bytes of the file.

use super::decompress::Compression;
use crate::manifest::Encoding;

/// The number of bytes at the start of a file that are examined. The mark of a tar archive is at
/// byte 257.
pub const HEAD: usize = 512;

/// A kind of files that are not CSV.
struct Kind {
    /// The name of the file kind with its article, such as "a PDF file".
    noun: &'static str,
    /// The advice for a partner who uploads a file of the kind.
    advice: &'static str,
}

const fn kind(noun: &'static str, advice: &'static str) -> Kind {
    Kind { noun, advice }
}

const UNPACK: &str = "unpack the archive and upload its CSV file";
const COMPRESS: &str = "compress the CSV file with gzip or zstd";
const SAVE: &str = "save the data as CSV";
const DECRYPT: &str = "decrypt the file before the upload";

/// The kinds of files that are recognised by their first bytes.
const MARKS: &[(&[u8], Kind)] = &[
    (b"\x1F\x8B", kind("a gzip file", "the name must end in .csv.gz")),
    (b"\x28\xB5\x2F\xFD", kind("a zstd file", "the name must end in .csv.zst")),
    (b"\xFD7zXZ\0", kind("an xz file", COMPRESS)),
    (b"BZh91AY", kind("a bzip2 file", COMPRESS)),
    (b"\x04\x22\x4D\x18", kind("an lz4 file", COMPRESS)),
    (b"\x1F\x9D", kind("a compress (.Z) file", COMPRESS)),
    (b"7z\xBC\xAF\x27\x1C", kind("a 7z archive", UNPACK)),
    (b"Rar!\x1A\x07", kind("a RAR archive", UNPACK)),
    (b"\xD0\xCF\x11\xE0", kind("an Excel workbook (.xls)", SAVE)),
    (b"Obj\x01", kind("an Avro file", "export the data as CSV")),
    (b"SQLite format 3\0", kind("an SQLite database", "export the data as CSV")),
    (b"%PDF", kind("a PDF file", "export the data as CSV")),
    (b"{\\rtf", kind("a document (.rtf)", "save the document as plain text")),
    (b"-----BEGIN PGP", kind("a file encrypted with PGP", DECRYPT)),
    (b"age-encryption.org/", kind("a file encrypted with age", DECRYPT)),
    (b"Salted__", kind("a file encrypted with OpenSSL", DECRYPT)),
];

/// Returns a message if the file is not CSV; `None` if it may be CSV. `head` has the first bytes of
/// the file after decompression by `compression`. `encoding` is the encoding in which the file is
/// read.
pub fn foreign_kind(head: &[u8], compression: Compression, encoding: Encoding) -> Option<String> {
    if let (Some(name), Some(inner)) = (compression.name(), Compression::by_mark(head)) {
        return Some(if inner == compression {
            format!("the file is compressed twice with {name}: compress the file once")
        } else {
            format!(
                "the file is compressed with {name} and inside with another tool: compress \
                 the file once"
            )
        });
    }
    if let Some(kind) = kind_of(head) {
        let inside = compression.name().map_or(String::new(), |name| format!(" inside {name}"));
        return Some(format!("the file is {}{inside}, not CSV: {}", kind.noun, kind.advice));
    }
    other_encoding(head, encoding)
}

/// Returns a message if a file cannot be decompressed by `compression`. Returns `None` if its first
/// bytes, `head`, have this compression or if the file is empty.
pub fn not_compressed(head: &[u8], compression: Compression) -> Option<String> {
    let name = compression.name()?;
    if head.is_empty() || Compression::by_mark(head) == Some(compression) {
        return None;
    }
    Some(match kind_of(head) {
        Some(kind) => format!("the file is {}, not {name}: {}", kind.noun, kind.advice),
        None if is_text(head) => {
            format!("the file is plain text, not {name}: the name must end in .csv")
        }
        None => format!("the file is not {name}, although its name has that ending"),
    })
}

fn kind_of(head: &[u8]) -> Option<&'static Kind> {
    static TAR: Kind = kind("a tar archive", UNPACK);
    static PARQUET: Kind = kind("a Parquet file", "export the data as CSV");
    static ORC: Kind = kind("an ORC file", "export the data as CSV");
    static PGP: Kind = kind("a file encrypted with PGP", DECRYPT);
    let marked = MARKS.iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, kind)| kind);
    marked
        .or_else(|| zip_kind(head))
        .or_else(|| (head.get(257..262) == Some(b"ustar")).then_some(&TAR))
        .or_else(|| is_pgp_packet(head).then_some(&PGP))
        .or_else(|| is_binary_after(head, b"PAR1").then_some(&PARQUET))
        .or_else(|| is_binary_after(head, b"ORC").then_some(&ORC))
        .or_else(|| text_kind(head))
}

/// Returns whether `head` begins with `mark` and then has a byte that cannot be in a text. A text
/// could begin with the mark alone.
fn is_binary_after(head: &[u8], mark: &[u8]) -> bool {
    let next = head.strip_prefix(mark).map(|rest| rest.first());
    next.is_some_and(|next| next.is_none_or(|byte| !is_text(&[*byte]) || !byte.is_ascii()))
}

/// Distinguishes workbooks from other zip files by the name of their first entry.
fn zip_kind(head: &[u8]) -> Option<&'static Kind> {
    static ZIP: Kind = kind("a zip file", UNPACK);
    static XLSX: Kind = kind("an Excel workbook (.xlsx)", SAVE);
    static ODS: Kind = kind("a spreadsheet (.ods)", SAVE);
    if !matches!(head, [b'P', b'K', 3 | 5, 4 | 6, ..]) {
        return None;
    }
    let entry = head.get(30..).unwrap_or_default();
    let begins = |names: &[&[u8]]| names.iter().any(|name| entry.starts_with(name));
    Some(if begins(&[b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/"]) {
        &XLSX
    } else if begins(&[b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"]) {
        &ODS
    } else {
        &ZIP
    })
}

/// Returns whether `head` begins with an OpenPGP packet (RFC 9580): a session key, a signature, or
/// compressed data. No UTF-8 text begins with the first bytes of such a packet.
fn is_pgp_packet(head: &[u8]) -> bool {
    match head {
        // This pattern is the old packet format of PGP: one or two bytes with the length, and then
        // the version.
        [0x84 | 0x8C | 0x90, _, 3..=6, ..] | [0x85 | 0x8D | 0x91, _, _, 3..=6, ..] => true,
        // This pattern is the new packet format of PGP, with a length of one or two bytes.
        [0xC1 | 0xC3 | 0xC4, 0..=191, 3..=6, ..] => true,
        [0xC1 | 0xC3 | 0xC4, 192..=223, _, 3..=6, ..] => true,
        [0xA3, 0..=3, ..] => true,
        _ => false,
    }
}

/// Recognises text formats, such as JSON, even after a byte order mark and white space.
fn text_kind(head: &[u8]) -> Option<&'static Kind> {
    static HTML: Kind = kind("an HTML page", SAVE);
    static SHEET: Kind = kind("an Excel workbook in XML", SAVE);
    static XML: Kind = kind("an XML file", "export the data as CSV");
    static JSON: Kind = kind("a JSON file", "export the data as CSV");
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let lower = head.to_ascii_lowercase();
    let has = |text: &str| memchr::memmem::find(&lower, text.as_bytes()).is_some();
    let begins = |names: &[&str]| names.iter().any(|name| lower.starts_with(name.as_bytes()));
    let pages = ["<html", "<!doctype html", "<head", "<body", "<table", "<meta", "<style", "<div"];
    if begins(&pages) || (begins(&["<?xml", "<!--"]) && has("<html")) {
        return Some(&HTML);
    }
    if begins(&["<?xml"]) && has("office:spreadsheet") {
        return Some(&SHEET);
    }
    let is_tag = matches!(head, [b'<', b'a'..=b'z' | b'A'..=b'Z', ..]);
    if begins(&["<?xml"]) || (is_tag && (has("</") || has("/>"))) {
        return Some(&XML);
    }
    // A CSV header may begin with a name in brackets or braces. The next character distinguishes
    // such a name from a JSON object or list.
    let next = head.get(1..).unwrap_or_default().trim_ascii_start().first();
    let is_json = match head.first() {
        Some(b'{') => matches!(next, Some(b'"' | b'}')),
        Some(b'[') => matches!(next, Some(b'"' | b'{' | b'[')),
        _ => false,
    };
    is_json.then_some(&JSON)
}

/// Returns a message if the file seems to have an encoding other than `encoding`.
fn other_encoding(head: &[u8], encoding: Encoding) -> Option<String> {
    if matches!(head, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..]) || is_utf32(head) {
        return Some("the file is UTF-32, which is not supported: save it as UTF-8".to_owned());
    }
    let marked = matches!(head, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0xEF, 0xBB, 0xBF, ..]);
    if marked {
        return None;
    }
    let is_utf16 = matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be);
    match utf16_without_mark(head) {
        Some(found) if found != encoding => Some(format!(
            "the file is UTF-16 without a byte order mark: set \"encoding\": \"{}\" in the \
             manifest",
            found.as_str()
        )),
        None if is_utf16 && head.len() > 1 && is_utf8_without_nul(head) => {
            Some("the file is not UTF-16: remove \"encoding\" from the manifest".to_owned())
        }
        _ => None,
    }
}

/// Returns whether `head` is UTF-8 and has no zero byte. Its last character may be incomplete. In
/// UTF-16, every comma and line end has a zero byte.
fn is_utf8_without_nul(head: &[u8]) -> bool {
    let is_cut = |error: std::str::Utf8Error| error.error_len().is_none();
    !head.contains(&0) && std::str::from_utf8(head).err().is_none_or(is_cut)
}

fn is_utf32(head: &[u8]) -> bool {
    let (characters, _) = head.as_chunks::<4>();
    let all = |matches: fn(&[u8; 4]) -> bool| characters.iter().all(matches);
    let little = |c: &[u8; 4]| matches!(c, [_, _, 0..=16, 0]) && *c != [0; 4];
    let big = |c: &[u8; 4]| matches!(c, [0, 0..=16, _, _]) && *c != [0; 4];
    let is_ascii = |c: &[u8; 4]| matches!(c, [_, 0, 0, 0] | [0, 0, 0, _]);
    characters.len() > 1 && (all(little) || all(big)) && characters.iter().any(is_ascii)
}

/// Returns the byte order of UTF-16 text without a byte order mark; `None` if `head` does not seem
/// to be UTF-16. In UTF-16, the high byte of a character below U+0100 is zero. So at least a fifth
/// of the high bytes must be zero, and at most a tenth of the low bytes, as in U+3000.
pub fn utf16_without_mark(head: &[u8]) -> Option<Encoding> {
    let (units, _) = head.as_chunks::<2>();
    let zeros = |at: usize| units.iter().filter(|unit| unit[at] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let most = |zeros: usize| zeros > 1 && zeros * 5 >= units.len();
    let few = |zeros: usize| zeros * 10 <= units.len();
    match (first, second) {
        (low, high) if few(low) && most(high) => Some(Encoding::Utf16Le),
        (high, low) if few(low) && most(high) => Some(Encoding::Utf16Be),
        _ => None,
    }
}

/// Returns whether `head` is text: it has no control characters except white space.
fn is_text(head: &[u8]) -> bool {
    head.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(head: &[u8]) -> Option<String> {
        foreign_kind(head, Compression::None, Encoding::Utf8)
    }

    #[test]
    fn messages_name_the_kind_of_file() {
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        let zip = |name: &str| [b"PK\x03\x04", &[0; 26][..], name.as_bytes()].concat();
        for (head, noun) in [
            (&b"\x1F\x8B\x08"[..], "a gzip file"),
            (b"\x28\xB5\x2F\xFD", "a zstd file"),
            (b"\xFD7zXZ\0", "an xz file"),
            (b"PAR1\x15\x04", "a Parquet file"),
            (b"ORC\x80\x02", "an ORC file"),
            (b"BZh91AY&SY", "a bzip2 file"),
            (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
            (&tar, "a tar archive"),
            (&zip("data.csv"), "a zip file"),
            (b"PK\x05\x06", "a zip file"),
            (&zip("[Content_Types].xml"), "an Excel workbook (.xlsx)"),
            (b"\xD0\xCF\x11\xE0\xA1\xB1", "an Excel workbook (.xls)"),
            (b"PAR1", "a Parquet file"),
            (b"<html><table>", "an HTML page"),
            (b"\xEF\xBB\xBF\r\n <!DOCTYPE html>", "an HTML page"),
            (b"<?xml version=\"1.0\"?><rows>", "an XML file"),
            (b"<rows><row a=\"1\"/>", "an XML file"),
            (
                b"<?xml?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">",
                "an Excel workbook in XML",
            ),
            (b"{\n  \"identity\": 1}", "a JSON file"),
            (b"[{\"identity\": 1}]", "a JSON file"),
            (b"-----BEGIN PGP MESSAGE-----", "a file encrypted with PGP"),
            (b"\x85\x01\x0c\x03", "a file encrypted with PGP"),
            (b"\x8c\x0d\x04\x09", "a file encrypted with PGP"),
            (b"\xc1\xc0\x4c\x03", "a file encrypted with PGP"),
        ] {
            let found = kind(head).unwrap_or_default();
            assert!(
                found.starts_with(&format!("the file is {noun}, not CSV: ")),
                "{noun}: {found}"
            );
        }
    }

    #[test]
    fn ordinary_text_is_accepted_as_csv() {
        for head in [
            &b""[..],
            b"a",
            b"identity,Name\n",
            b"[identity],[Name]\n",
            b"{identity},b\n",
            b"<id>,b\n",
            b"PK,b\n",
            b"PAR1,b\n",
            b"ORC\n",
            b"\xC3\x84,b\n",
            "…,é\n".as_bytes(),
            b"\x85,b\n",
            b"\xFF\xFEa\0",
        ] {
            assert_eq!(kind(head), None, "{head:?}");
        }
    }

    #[test]
    fn compression_must_match_the_file_name() {
        let gzip = |head: &[u8]| not_compressed(head, Compression::Gzip);
        assert_eq!(gzip(b"\x1F\x8B\x08"), None);
        assert_eq!(gzip(b""), None);
        assert_eq!(
            gzip(b"a,b\n").unwrap(),
            "the file is plain text, not gzip: the name must end in .csv"
        );
        assert_eq!(
            gzip(b"\x28\xB5\x2F\xFD").unwrap(),
            "the file is a zstd file, not gzip: the name must end in .csv.zst"
        );
        assert_eq!(
            gzip(b"\x01\x02").unwrap(),
            "the file is not gzip, although its name has that ending"
        );
        assert_eq!(not_compressed(b"\x50\x2A\x4D\x18", Compression::Zstd), None);
        let inside = |head: &[u8]| foreign_kind(head, Compression::Gzip, Encoding::Utf8).unwrap();
        assert_eq!(
            inside(b"\x1F\x8B\x08"),
            "the file is compressed twice with gzip: compress the file once"
        );
        assert_eq!(
            inside(b"PAR1"),
            "the file is a Parquet file inside gzip, not CSV: export the data as CSV"
        );
    }

    #[test]
    fn messages_name_the_wrong_encoding() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let utf16be =
            |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        let utf32 =
            |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>();
        let set = |name: &str| {
            format!(
                "the file is UTF-16 without a byte order mark: set \"encoding\": \"{name}\" in \
                 the manifest"
            )
        };
        assert_eq!(kind(&utf16("id,é\n")).unwrap(), set("utf-16le"));
        assert_eq!(kind(&utf16be("id,é\n")).unwrap(), set("utf-16be"));
        assert_eq!(
            kind(&utf16("identity,name,city\nj,一\u{3000},Bonn\n")).unwrap(),
            set("utf-16le")
        );
        let declared = |head: &[u8], encoding| foreign_kind(head, Compression::None, encoding);
        assert_eq!(declared(&utf16("id"), Encoding::Utf16Le), None);
        assert_eq!(declared(&utf16("id"), Encoding::Utf16Be).unwrap(), set("utf-16le"));
        assert_eq!(
            declared(b"id,b\n", Encoding::Utf16Le).unwrap(),
            "the file is not UTF-16: remove \"encoding\" from the manifest"
        );
        assert!(declared("é,b\n".as_bytes(), Encoding::Utf16Le).is_some());
        assert_eq!(declared(&utf16("名前,b\n"), Encoding::Utf16Le), None);
        let utf32_text = "the file is UTF-32, which is not supported: save it as UTF-8";
        assert_eq!(kind(&utf32("\u{feff}id")).unwrap(), utf32_text);
        assert_eq!(kind(&utf32("id,é\n")).unwrap(), utf32_text);
        assert_eq!(kind(b"a\0b"), None);
    }
}
