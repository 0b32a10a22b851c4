//! The folder of a ring: made once, opened by many, renewed in time, never in two minds.

use super::*;
use crate::identity::NodeIdentity;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;

const THREE: Shape = Shape { nodes: Some(3), gateway: None, ring_port_base: None, zones: Vec::new() };

fn in_days(days: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + days * 86_400).expect("in the calendar")
}

#[test]
fn a_new_ring_has_a_folder_per_node_and_its_keys_are_for_the_owner_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let ring = RingDir::open_or_init(&folder.path().join("ring"), &THREE).expect("made");
    let root = folder.path().join("ring");
    let names: Vec<_> = ring.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["ring-0", "ring-1", "ring-2"]);
    assert_eq!(ring.nodes()[2].ring_address, SocketAddr::from(([127, 0, 0, 1], 7445)));
    assert_eq!(ring.nodes()[2].gateway_address, SocketAddr::from(([127, 0, 0, 1], 8445)));
    for secret in ["ring.key", "ca.key", "jwt.key", "ring-0/tls.key", "ring-2/tls.key"] {
        let mode = fs::metadata(root.join(secret)).expect(secret).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    ring.ring_key().expect("ring key");
    let data = ring.data(ring.node("ring-1").expect("node"));
    let identity = NodeIdentity::open_or_create(&data, ring.ring_id(), "ring-1", 1).expect("identity");
    assert_eq!(identity.boot, 1);
}

#[test]
fn opening_again_keeps_everything_and_what_is_left_open_comes_from_the_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let made = RingDir::open_or_init(folder.path(), &THREE).expect("made");
    let before = fs::read(folder.path().join("ring-1/tls.pem")).expect("certificate");
    assert_eq!(RingDir::open_or_init(folder.path(), &Shape::default()).expect("opened"), made);
    assert_eq!(RingDir::open_or_init(folder.path(), &THREE).expect("opened"), made);
    assert_eq!(fs::read(folder.path().join("ring-1/tls.pem")).expect("certificate"), before);
}

#[test]
fn asking_for_another_shape_than_the_folder_has_is_refused_naming_both() {
    let folder = tempfile::tempdir().expect("folder");
    RingDir::open_or_init(folder.path(), &THREE).expect("made");
    let others = [
        (Shape { nodes: Some(5), ..THREE }, "a node count of 3, and 5 was asked for"),
        (Shape { ring_port_base: Some(9000), ..THREE }, "the first ring port 7443, and 9000 was asked for"),
        (
            Shape { gateway: Some(SocketAddr::from(([0, 0, 0, 0], 443))), ..THREE },
            "127.0.0.1:8443, and 0.0.0.0:443 was asked for",
        ),
    ];
    for (shape, words) in others {
        let error = RingDir::open_or_init(folder.path(), &shape).expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn shapes_that_cannot_be_are_refused_and_leave_no_ring() {
    let folder = tempfile::tempdir().expect("folder");
    let gateway = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let bad = [
        Shape { nodes: Some(0), ..THREE },
        Shape { nodes: Some(33), ..THREE },
        Shape { gateway: gateway(65_534), ..THREE },
        Shape { gateway: gateway(0), ..THREE },
        Shape { gateway: gateway(7445), ..THREE },
        Shape { ring_port_base: Some(0), ..THREE },
        Shape { zones: vec!["a".to_owned(), "not a zone".to_owned()], ..THREE },
    ];
    for shape in bad {
        let refused = RingDir::open_or_init(folder.path(), &shape);
        assert!(matches!(refused, Err(LayoutError::Shape(_))), "{shape:?}");
        assert!(!folder.path().join("ring.json").exists());
    }
    RingDir::open_or_init(folder.path(), &THREE).expect("made");
}

#[test]
fn zones_are_dealt_out_in_turn_and_nodes_that_are_added_are_no_founders() {
    let folder = tempfile::tempdir().expect("folder");
    let zones = ["a", "b"].map(str::to_owned).to_vec();
    let made = RingDir::open_or_init(folder.path(), &Shape { zones, ..THREE }).expect("made");
    let shown = |ring: &RingDir| -> Vec<(String, String, bool)> {
        let show = |node: &RingNode| (node.name.clone(), node.zone.clone(), node.is_founder());
        ring.nodes().iter().map(show).collect()
    };
    let line = |name: &str, zone: &str, founder| (name.to_owned(), zone.to_owned(), founder);
    let founders = [line("ring-0", "a", true), line("ring-1", "b", true), line("ring-2", "a", true)];
    assert_eq!(shown(&made), founders);
    let added = RingDir::add(folder.path(), 2, "c").expect("added");
    assert_eq!(shown(&added)[3..], [line("ring-3", "c", false), line("ring-4", "c", false)]);
    assert_eq!(added.nodes()[4].ring_address, SocketAddr::from(([127, 0, 0, 1], 7447)));
    assert_eq!(RingDir::open_or_init(folder.path(), &Shape::default()).expect("opened"), added);
    assert!(added.tls(&added.nodes()[4]).key.exists());
    for (count, zone) in [(28, ""), (1, "-")] {
        let refused = RingDir::add(folder.path(), count, zone);
        assert!(matches!(refused, Err(LayoutError::Shape(_))), "{refused:?}");
    }
}

#[test]
fn a_ring_has_no_room_for_a_node_whose_port_is_a_gateways() {
    let folder = tempfile::tempdir().expect("folder");
    let gateway = Some(SocketAddr::from(([127, 0, 0, 1], 7446)));
    RingDir::open_or_init(folder.path(), &Shape { gateway, ..THREE }).expect("made");
    let refused = RingDir::add(folder.path(), 1, "");
    assert!(matches!(refused, Err(LayoutError::Shape(ShapeError::Overlap { .. }))), "{refused:?}");
}

#[test]
fn an_interrupted_start_begins_again() {
    let folder = tempfile::tempdir().expect("folder");
    RingDir::open_or_init(folder.path(), &THREE).expect("made");
    fs::rename(folder.path().join("ring.json"), folder.path().join("ring.json.new")).expect("interrupted");
    fs::remove_file(folder.path().join("ring-2/tls.pem")).expect("interrupted");
    RingDir::open_or_init(folder.path(), &THREE).expect("made again");
}

#[test]
fn a_folder_with_other_things_or_with_data_is_not_made_a_ring() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("thesis.tex"), "words").expect("file");
    let error = RingDir::open_or_init(folder.path(), &THREE).expect_err("refused");
    assert!(matches!(&error, LayoutError::Foreign { found, .. } if found == "thesis.tex"), "{error}");

    let folder = tempfile::tempdir().expect("folder");
    RingDir::open_or_init(folder.path(), &THREE).expect("made");
    fs::create_dir(folder.path().join("ring-1/data")).expect("data");
    fs::remove_file(folder.path().join("ring.json")).expect("lost");
    let error = RingDir::open_or_init(folder.path(), &THREE).expect_err("refused");
    assert!(matches!(&error, LayoutError::Foreign { found, .. } if found == "ring-1"), "{error}");
}

#[test]
fn many_starts_at_once_make_one_ring() {
    let folder = tempfile::tempdir().expect("folder");
    let root = folder.path().join("ring");
    let together = Barrier::new(5);
    let rings: Vec<_> = std::thread::scope(|scope| {
        let start = || {
            together.wait();
            RingDir::open_or_init(&root, &THREE).expect("opened")
        };
        let threads: Vec<_> = (0..5).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(rings.iter().all(|ring| *ring == rings[0]));
}

#[test]
fn certificates_are_renewed_in_their_last_third_and_after_their_end_with_the_same_key() {
    let folder = tempfile::tempdir().expect("folder");
    RingDir::open_or_init(folder.path(), &THREE).expect("made");
    let [certificate, key] = ["ring-0/tls.pem", "ring-0/tls.key"].map(|file| folder.path().join(file));
    let read = |path: &Path| fs::read(path).expect("file");
    let (first, first_key) = (read(&certificate), read(&key));
    RingDir::open_or_init_at(folder.path(), &THREE, in_days(59)).expect("opened");
    assert_eq!(read(&certificate), first);
    for later in [61, 1000] {
        RingDir::open_or_init_at(folder.path(), &THREE, in_days(later)).expect("opened");
        let validity = Validity::of_pem(&read(&certificate)).expect("validity");
        assert!(validity.until > in_days(later + 89), "{}", validity.until);
    }
    assert_eq!(read(&key), first_key);
    let ended = RingDir::open_or_init_at(folder.path(), &THREE, in_days(4000)).expect_err("refused");
    assert!(matches!(ended, LayoutError::Authority(AuthorityError::Expired { .. })), "{ended}");
}

#[test]
fn open_keys_lost_files_and_edited_words_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().expect("folder");
    let ring = RingDir::open_or_init(folder.path(), &THREE).expect("made");
    let key = folder.path().join("ring.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("chmod");
    assert!(matches!(ring.ring_key(), Err(LayoutError::RingKey(RingKeyError::File(FileError::TooOpen { .. })))));

    let error = ring.node("ring-7").expect_err("refused").to_string();
    assert!(error.contains("ring-0, ring-1, ring-2"), "{error}");

    let path = folder.path().join("ring.json");
    let text = fs::read_to_string(&path).expect("text");
    for (from, to) in [
        ("ring-1", "ring-0"),
        ("\"ring-1\"", "\"../x\""),
        ("127.0.0.1:7444", "127.0.0.1:7443"),
        ("127.0.0.1:7444", "127.0.0.1:0"),
    ] {
        fs::write(&path, text.replace(from, to)).expect("edit");
        let refused = RingDir::open_or_init(folder.path(), &Shape::default());
        assert!(matches!(refused, Err(LayoutError::Edited { .. })), "{to}: {refused:?}");
    }
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 2, \"more\": true")).expect("edit");
    let future = RingDir::open_or_init(folder.path(), &THREE);
    assert!(matches!(future, Err(LayoutError::File(FileError::UnknownFormat { found: 2, .. }))), "{future:?}");

    fs::write(&path, text).expect("restore");
    fs::remove_file(folder.path().join("ring-1/tls.pem")).expect("lost");
    let lost = RingDir::open_or_init(folder.path(), &THREE);
    assert!(matches!(lost, Err(LayoutError::Absent { .. })), "{lost:?}");
}

#[test]
fn the_token_keys_sign_and_check_tokens() {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Claims {
        sub: String,
        exp: i64,
    }
    let folder = tempfile::tempdir().expect("folder");
    let ring = RingDir::open_or_init(folder.path(), &THREE).expect("made");
    let claims = Claims { sub: "somebody".to_owned(), exp: in_days(1).as_second() };
    let private = EncodingKey::from_ed_pem(&ring.token_private_key().expect("key")).expect("PKCS#8");
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &private).expect("signed");
    let public = fs::read(ring.token_public_key()).expect("key");
    let public = DecodingKey::from_ed_pem(&public).expect("SPKI");
    let read = jsonwebtoken::decode::<Claims>(&token, &public, &Validation::new(Algorithm::EdDSA)).expect("checked");
    assert_eq!(read.claims, claims);
}
