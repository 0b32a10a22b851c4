//! One page in a dozen charsets: what is written on it is known, so that a reader of it can be held to that.

use encoding_rs::Encoding;

/// How a page says which charset it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// In the header.
    Header,
    /// In a `meta` element.
    Meta,
    /// By a byte order mark.
    Mark,
}

/// Label, how it is told, and a text that the charset can write.
pub(super) const PAGES: [(&str, Told, &str); 12] = [
    ("utf-8", Told::Header, "Zażółć gęślą jaźń – 漢字"),
    ("utf-8", Told::Mark, "Grüße, Ελλάδα"),
    ("utf-16le", Told::Mark, "Привет, 世界"),
    ("iso-8859-1", Told::Header, "Ærøskøbing, façade"),
    ("iso-8859-2", Told::Meta, "Příliš žluťoučký kůň"),
    ("iso-8859-7", Told::Header, "Καλημέρα κόσμε"),
    ("windows-1251", Told::Header, "Съешь же ещё этих булок"),
    ("koi8-r", Told::Meta, "Широкая электрификация"),
    ("shift_jis", Told::Header, "こんにちは世界"),
    ("euc-jp", Told::Meta, "日本語のページ"),
    ("gb18030", Told::Header, "简体中文网页"),
    ("euc-kr", Told::Header, "안녕하세요"),
];

/// The page with this place in [`PAGES`]: the value of `Content-Type`, and the bytes.
pub(super) fn page(place: usize) -> Option<(String, Vec<u8>)> {
    let (label, told, text) = PAGES.get(place)?;
    let meta = if *told == Told::Meta { format!("<meta charset=\"{label}\">") } else { String::new() };
    let html = format!(
        "<!doctype html><html><head>{meta}<title>{text}</title></head><body><article class=\"page\"><h1>{text}</h1></article></body></html>"
    );
    let content_type =
        if *told == Told::Header { format!("text/html; charset={label}") } else { "text/html".to_owned() };
    let bytes = match (*label, *told) {
        ("utf-16le", _) => [vec![0xFF, 0xFE], html.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat(),
        (_, Told::Mark) => [b"\xEF\xBB\xBF".to_vec(), html.into_bytes()].concat(),
        _ => Encoding::for_label(label.as_bytes())?.encode(&html).0.into_owned(),
    };
    Some((content_type, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_charset_can_write_its_text() {
        for (place, (label, _, text)) in PAGES.iter().enumerate() {
            let (_, bytes) = page(place).unwrap();
            let (read, _, lossy) = Encoding::for_label(label.as_bytes()).unwrap().decode(&bytes);
            assert!(!lossy && read.contains(text), "{label}");
        }
    }
}
