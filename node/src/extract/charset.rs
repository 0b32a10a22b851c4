//! Bytes to text: the byte order mark, then the header, then what the page says of itself, then a look at the bytes.
//!
//! The order and the details of the look-ahead are those of the HTML Standard, section 13.2.3 "The input byte stream". What declares nothing and is no
//! UTF-8 is guessed from its letters, as Firefox does it.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// The Standard's look-ahead for a declaration inside the page.
const PRESCAN_BYTES: usize = 1024;

/// Bytes that a guess looks at; more letters do not change it.
const GUESSED_BYTES: usize = 64 * 1024;

/// Decodes a page; what does not fit the encoding becomes U+FFFD.
pub(super) fn decode<'a>(body: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(body) {
        return encoding.decode_without_bom_handling(&body[mark_bytes..]).0;
    }
    let declared = content_type.and_then(from_header).or_else(|| xml_declaration(body)).or_else(|| prescan(body));
    if let Some(encoding) = declared {
        return encoding.decode_without_bom_handling(body).0;
    }
    match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => guess(body).decode_without_bom_handling(body).0,
    }
}

fn guess(body: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&body[..body.len().min(GUESSED_BYTES)], body.len() <= GUESSED_BYTES);
    detector.guess(None, Utf8Detection::Deny)
}

/// The encoding in `<?xml version="1.0" encoding="..."?>` (XML 1.0, section 4.3.3).
pub(super) fn xml_declaration(body: &[u8]) -> Option<&'static Encoding> {
    let rest = body[..body.len().min(PRESCAN_BYTES)].strip_prefix(b"<?xml")?;
    let end = rest.windows(2).position(|pair| pair == b"?>")?;
    let text = String::from_utf8_lossy(&rest[..end]);
    let (_, label) = Attributes(&text).find(|(name, _)| *name == "encoding")?;
    Encoding::for_label(label.as_bytes()).map(readable)
}

/// A page whose declaration could be read is neither of these, whatever it says.
fn readable(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == UTF_16LE || encoding == UTF_16BE {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    }
}

/// The `charset` parameter of a `Content-Type`.
fn from_header(content_type: &str) -> Option<&'static Encoding> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("charset") {
            return None;
        }
        let label = value.trim().trim_matches(['"', '\'']);
        Encoding::for_label(label.as_bytes())
    })
}

/// The first `<meta>` of the look-ahead that names an encoding, comments left out.
fn prescan(body: &[u8]) -> Option<&'static Encoding> {
    let mut rest = &body[..body.len().min(PRESCAN_BYTES)];
    while let Some(start) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix(b"<!--") {
            rest = after(comment, b"-->")?;
        } else if is_tag(rest, b"<meta") {
            let end = rest.iter().position(|byte| *byte == b'>')?;
            if let Some(encoding) = from_meta(&rest[5..end]) {
                return Some(encoding);
            }
            rest = &rest[end..];
        } else {
            rest = &rest[1..];
        }
    }
    None
}

fn is_tag(text: &[u8], tag: &[u8]) -> bool {
    text.len() > tag.len()
        && text[..tag.len()].eq_ignore_ascii_case(tag)
        && (text[tag.len()].is_ascii_whitespace() || text[tag.len()] == b'/')
}

fn after<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(end.len()).position(|window| window == end)?;
    Some(&text[at + end.len()..])
}

/// The encoding named by the attributes of one `<meta>`.
fn from_meta(attributes: &[u8]) -> Option<&'static Encoding> {
    let text = String::from_utf8_lossy(attributes);
    let mut http_equiv = false;
    let mut charset = None;
    let mut content = None;
    for (name, value) in Attributes(&text) {
        match name.to_ascii_lowercase().as_str() {
            "charset" => charset = charset.or(Some(value)),
            "http-equiv" => http_equiv |= value.trim().eq_ignore_ascii_case("content-type"),
            "content" => content = content.or(Some(value)),
            _ => {}
        }
    }
    let encoding = match charset {
        Some(label) => Encoding::for_label(label.as_bytes())?,
        None => content.filter(|_| http_equiv).and_then(from_header)?,
    };
    Some(readable(encoding))
}

/// Attributes of a tag, one after the other: `a`, `a=b`, `a='b'`, `a="b"`.
struct Attributes<'a>(&'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let between = |c: char| c.is_ascii_whitespace() || c == '/';
        let text = self.0.trim_start_matches(between);
        if text.is_empty() {
            return None;
        }
        let name_end =
            text.char_indices().skip(1).find(|(_, c)| between(*c) || *c == '=').map_or(text.len(), |(at, _)| at);
        let (name, rest) = text.split_at(name_end);
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            self.0 = rest;
            return Some((name, ""));
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, rest) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => {
                let end = value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len());
                value.split_at(end)
            }
        };
        self.0 = rest;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_wins_over_the_header_the_header_over_the_page_the_page_over_the_bytes() {
        let cases: &[(&[u8], Option<&str>, &str)] = &[
            (b"\xef\xbb\xbf\xc3\xa9", Some("text/html; charset=latin1"), "é"),
            (b"\xff\xfeh\0i\0", None, "hi"),
            (b"\xfe\xff\0h\0i", Some("text/html; charset=utf-8"), "hi"),
            (b"<meta charset=utf-8>\xe9", Some("text/html;charset=ISO-8859-1"), "<meta charset=utf-8>é"),
            (b"<meta charset=utf-8>\xe9", Some("text/html; a=b; Charset=\"windows-1252\""), "<meta charset=utf-8>é"),
            (b"<meta charset='shift_jis'>\x93\xfa", None, "<meta charset='shift_jis'>日"),
            (b"<META CHARSET = koi8-r />\xd0", None, "<META CHARSET = koi8-r />п"),
            (
                b"<meta content='text/html; charset=gbk' http-equiv=Content-Type>\xc4\xe3",
                None,
                "<meta content='text/html; charset=gbk' http-equiv=Content-Type>你",
            ),
            (b"<meta content='text/html; charset=gbk'>\xc3\xa9", None, "<meta content='text/html; charset=gbk'>é"),
            (b"<!-- <meta charset=koi8-r> -->\xc3\xa9", None, "<!-- <meta charset=koi8-r> -->é"),
            (b"<metadata charset=koi8-r>\xc3\xa9", None, "<metadata charset=koi8-r>é"),
            (b"<meta charset=utf-16>\xc3\xa9", None, "<meta charset=utf-16>é"),
            (b"<meta charset=nonsense>\xc3\xa9", None, "<meta charset=nonsense>é"),
            (b"\xc3\xa9", None, "é"),
            (b"<?xml version='1.0' encoding='koi8-r'?>\xd0", None, "<?xml version='1.0' encoding='koi8-r'?>п"),
            (b"<?xml version='1.0' encoding='utf-16'?>\xc3\xa9", None, "<?xml version='1.0' encoding='utf-16'?>é"),
            (b"\xe9", Some("text/html; charset=nonsense"), "é"),
            (b"caf\xe9", Some("text/html; charset=utf-8"), "caf\u{fffd}"),
            (b"\xe3\x81", Some("text/html; charset=utf-8"), "\u{fffd}"),
            (b"", None, ""),
        ];
        for (body, content_type, expected) in cases {
            assert_eq!(decode(body, *content_type), *expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn a_page_that_declares_nothing_is_guessed_from_its_letters() {
        for (label, text) in [
            ("windows-1252", "Où sont les neiges d’antan? Déjà vu, garçon, crème brûlée à la façon de l’été."),
            (
                "windows-1251",
                "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
            ),
            ("koi8-u", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему."),
            ("shift_jis", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
            ("euc-jp", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
            ("gbk", "道可道，非常道。名可名，非常名。无名天地之始；有名万物之母。"),
            ("big5", "道可道，非常道。名可名，非常名。無名天地之始；有名萬物之母。"),
            ("euc-kr", "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사 우리나라 만세."),
            ("iso-8859-2", "Příliš žluťoučký kůň úpěl ďábelské ódy, zažraný šneček."),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).expect(label);
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(decode(&bytes, Some("text/html")), text, "{label}");
        }
    }

    #[test]
    fn a_declaration_beyond_the_look_ahead_is_not_seen() {
        let mut body = vec![b' '; PRESCAN_BYTES];
        body.extend_from_slice(b"<meta charset=koi8-r>\xc3\xa9");
        assert!(decode(&body, None).ends_with('é'));
    }
}
