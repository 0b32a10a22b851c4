//! The items file through crashes, wrong use and going on.

use super::*;
use tempfile::TempDir;

const JOB: JobId = JobId([7; 16]);
const OTHER: JobId = JobId([8; 16]);

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("items.jsonl");
    (folder, path)
}

fn refusal(path: &Path, resumed: Option<JobId>) -> String {
    let error = Output::open(Some(path), resumed).expect_err("refused");
    error.downcast::<BadInput>().expect("bad input").to_string()
}

#[test]
fn items_are_appended_where_the_run_before_ended() {
    let (_folder, path) = folder();
    let mut output = Output::open(Some(&path), None).expect("open");
    assert_eq!(output.begin(JOB).expect("begin"), "");
    output.append(JOB, b"{\"a\":1}\n", "c1").expect("append");
    output.append(JOB, b"{\"a\":2}\n{\"a\":3}\n", "c2").expect("append");
    drop(output);
    let mut output = Output::open(Some(&path), Some(JOB)).expect("open again");
    assert_eq!(output.begin(JOB).expect("go on"), "c2");
    output.append(JOB, b"{\"a\":4}\n", "c3").expect("append");
    output.finish().expect("finish");
    assert_eq!(fs::read_to_string(&path).expect("items"), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
    assert!(!mark_path(&path).exists());
}

#[test]
fn what_was_written_after_the_last_mark_is_cut_and_read_again() {
    let (_folder, path) = folder();
    let mut output = Output::open(Some(&path), None).expect("open");
    output.begin(JOB).expect("begin");
    output.append(JOB, b"{\"a\":1}\n", "c1").expect("append");
    drop(output);
    for lost in [&b"{\"a\":2}\n"[..], b"{\"a\":2", b"{\"a\":2}\n{\"a\""] {
        let mut file = OpenOptions::new().append(true).open(&path).expect("file");
        file.write_all(lost).expect("the crash came between items and mark");
        drop(file);
        let mut output = Output::open(Some(&path), Some(JOB)).expect("open again");
        assert_eq!(output.begin(JOB).expect("go on"), "c1");
        assert_eq!(fs::read_to_string(&path).expect("items"), "{\"a\":1}\n");
    }
}

#[test]
fn a_crash_before_the_first_items_can_be_continued() {
    let (_folder, path) = folder();
    let mut output = Output::open(Some(&path), None).expect("open");
    output.begin(JOB).expect("begin");
    drop(output);
    fs::write(&path, "{\"a\"").expect("torn");
    let mut output = Output::open(Some(&path), Some(JOB)).expect("open again");
    assert_eq!(output.begin(JOB).expect("from the beginning"), "");
    assert_eq!(fs::metadata(&path).expect("file").len(), 0);
}

#[test]
fn the_unfinished_items_of_another_job_are_not_written_over() {
    let (_folder, path) = folder();
    let mut output = Output::open(Some(&path), None).expect("open");
    output.begin(JOB).expect("begin");
    output.append(JOB, b"{}\n", "c1").expect("append");
    drop(output);
    let new = refusal(&path, None);
    assert!(new.contains(&format!("--resume {JOB}")) && new.contains("items.jsonl.cursor"), "{new}");
    assert!(refusal(&path, Some(OTHER)).contains("holds items of the job"));
    assert_eq!(fs::read_to_string(&path).expect("items"), "{}\n");
    fs::remove_file(&path).expect("removed by the user");
    let mut output = Output::open(Some(&path), None).expect("the mark alone stands in nobody's way");
    assert_eq!(output.begin(OTHER).expect("begin"), "");
}

#[test]
fn a_file_that_cannot_be_continued_is_left_as_it_is() {
    let (_folder, path) = folder();
    fs::write(&path, "precious\n").expect("file");
    assert!(refusal(&path, Some(JOB)).contains("not known where to go on"));
    let mark = |length_bytes| Mark { format: FORMAT, job: JOB, cursor: "c".to_owned(), length_bytes };
    files::write_json(&mark_path(&path), &mark(1000), Readers::Everybody).expect("mark");
    assert!(refusal(&path, Some(JOB)).contains("had 1000 when"));
    files::write_json(&mark_path(&path), &Mark { format: 9, ..mark(1) }, Readers::Everybody).expect("mark");
    assert!(refusal(&path, Some(JOB)).contains("cannot be understood"));
    fs::write(mark_path(&path), "{").expect("mark");
    assert!(refusal(&path, Some(JOB)).contains("cannot be understood"));
    assert_eq!(fs::read_to_string(&path).expect("items"), "precious\n");
}

#[test]
fn a_finished_file_is_written_over_only_when_its_new_job_begins() {
    let (_folder, path) = folder();
    fs::write(&path, "{\"old\":1}\n").expect("file");
    let mut output = Output::open(Some(&path), None).expect("open");
    assert_eq!(fs::read_to_string(&path).expect("items"), "{\"old\":1}\n", "the job may still be refused");
    output.begin(JOB).expect("begin");
    assert_eq!(fs::read_to_string(&path).expect("items"), "");
}

#[test]
fn a_file_in_which_nothing_began_is_not_left_behind() {
    let (_folder, path) = folder();
    drop(Output::open(Some(&path), None).expect("open"));
    assert!(!path.exists());
    fs::write(&path, "").expect("the user's own");
    drop(Output::open(Some(&path), None).expect("open"));
    assert!(path.exists());
}

#[test]
fn two_writers_of_one_file_are_one_too_many() {
    let (_folder, path) = folder();
    let _first = Output::open(Some(&path), None).expect("open");
    assert!(refusal(&path, None).contains("another scrapering"));
}

#[test]
fn an_output_that_cannot_be_written_is_refused_at_once() {
    let (folder, _) = folder();
    assert!(refusal(&folder.path().join("no/such/folder/items.jsonl"), None).contains("cannot be written"));
    assert!(refusal(folder.path(), None).contains("cannot be written"));
}

#[test]
fn a_device_is_written_without_a_mark() {
    let path = Path::new("/dev/null");
    let mut output = Output::open(Some(path), None).expect("open");
    assert_eq!(output.begin(JOB).expect("begin"), "");
    output.append(JOB, b"{}\n", "c1").expect("append");
    output.finish().expect("finish");
    assert!(!mark_path(path).exists());
}
