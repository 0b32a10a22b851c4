//! The console as a browser asks for it.

use super::*;
use axum::body::{Body, to_bytes};
use http::Request;
use std::collections::BTreeSet;
use std::path::Path as FilePath;
use tower::ServiceExt;

async fn ask(path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path);
    let request = known.into_iter().fold(request, |request, tag| request.header(IF_NONE_MATCH, tag));
    let answer = router::<()>().oneshot(request.body(Body::empty()).expect("request")).await.expect("answer");
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("body");
    (parts.status, parts.headers, String::from_utf8_lossy(&body).into_owned())
}

/// What stands between `before` and a quote.
fn quoted_after<'text>(text: &'text str, before: &str) -> Vec<&'text str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn the_page_allows_no_script_or_style_inside_it_and_has_none() {
    let (status, headers, page) = ask("/", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[CACHE_CONTROL], "no-cache");
    assert!(headers[STRICT_TRANSPORT_SECURITY].to_str().expect("ASCII").starts_with("max-age="));
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    for inline in ["<style", " style=", " onclick", " onload", "<script>", "javascript:", "http://", "https://"] {
        assert!(!page.contains(inline), "the page holds {inline}");
    }
}

#[tokio::test]
async fn everything_the_page_asks_for_is_there_and_may_be_kept_for_ever() {
    let (_, _, page) = ask("/", None).await;
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    wanted.extend(quoted_after(&page, "src=\"").into_iter().map(str::to_owned));
    wanted.extend(quoted_after(&page, "href=\"").into_iter().filter(|link| link.starts_with('/')).map(str::to_owned));
    assert!(wanted.len() >= 3, "{wanted:?}");
    for path in wanted {
        let (status, headers, _) = ask(&path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=31536000, immutable", "{path}");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        let right = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            other => panic!("{path} ends with {other:?}"),
        };
        assert_eq!(headers[CONTENT_TYPE], right, "{path}");
    }
}

#[tokio::test]
async fn every_module_that_is_imported_is_served() {
    for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js")) {
        let text = std::str::from_utf8(asset.bytes).expect("UTF-8");
        for module in quoted_after(text, "from \"") {
            let name = module.strip_prefix("./").expect("modules are imported from beside each other");
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{} imports {name}", asset.name);
        }
    }
}

#[tokio::test]
async fn a_browser_that_has_the_page_is_told_so_and_one_of_another_version_gets_no_file() {
    let (_, headers, _) = ask("/", None).await;
    let tag = headers[ETAG].to_str().expect("ASCII").to_owned();
    assert_eq!(ask("/", Some(&tag)).await.0, StatusCode::NOT_MODIFIED);
    assert_eq!(ask("/", Some("\"0\"")).await.0, StatusCode::OK);
    for path in ["/console/0000/main.js", &format!("/console/{}/none.js", tag.trim_matches('"'))] {
        let (status, headers, _) = ask(path, None).await;
        assert_eq!((status, headers[CACHE_CONTROL].to_str().expect("ASCII")), (StatusCode::NOT_FOUND, "no-store"));
    }
}

#[test]
fn every_file_of_the_folder_is_in_the_binary() {
    // Tests run in the folder of their crate.
    let names: BTreeSet<String> = std::fs::read_dir(FilePath::new("console"))
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    let mut served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
    served.insert("index.html".to_owned());
    assert_eq!(served, names);
}
