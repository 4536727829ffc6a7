//! Commands inside another program: results, status, progress and errors go to the host.

use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use picodet_cli::{CommandError, ErrorKind, ExitCode, Host, HostEvent, run_within};

/// Runs a command and returns its exit code and events; sets `stop` at the first progress.
fn run(arguments: &[&str], stops: bool) -> (Result<ExitCode, CommandError>, Vec<HostEvent>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicUsize::new(0));
    let (received, flag) = (Arc::clone(&events), Arc::clone(&stop));
    let listen = Arc::new(move |event: HostEvent| {
        if stops && matches!(event, HostEvent::Progress { .. }) {
            flag.store(2, Ordering::Relaxed);
        }
        received.lock().expect("the events").push(event);
    });
    let arguments = ["picodet"].iter().chain(arguments).map(OsString::from);
    let result = run_within(Host { listen, stop }, arguments);
    let events = std::mem::take(&mut *events.lock().expect("the events"));
    (result, events)
}

/// Writes a COCO dataset of three grey images, and returns its folder.
fn dataset() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let image = picodet::Image::filled(64, 48, [120; 3]);
    let mut images = Vec::new();
    for id in 1..=3 {
        picodet::Detections::default()
            .draw(&image)
            .save(folder.path().join(format!("{id}.png")))
            .expect("a file");
        images
            .push(serde_json::json!({"id": id, "file_name": format!("{id}.png"), "width": 64, "height": 48}));
    }
    let classes = picodet::default_model().expect("the model").metadata.classes;
    let text = serde_json::json!({
        "images": images,
        "categories": [{"id": 1, "name": classes[0]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 20, 20], "area": 400, "iscrowd": 0}],
    });
    std::fs::write(folder.path().join("data.json"), text.to_string()).expect("a file");
    folder
}

#[test]
fn results_progress_and_status_are_events() {
    let folder = dataset();
    let data = folder.path().join("data.json").display().to_string();
    let (code, events) = run(&["eval", picodet::DEFAULT_MODEL, &data, "--format", "json"], false);
    assert_eq!(code.expect("an evaluation"), ExitCode::SUCCESS);
    let mut result = String::new();
    let mut progress = Vec::new();
    let mut status = 0;
    for event in events {
        match event {
            HostEvent::Result(text) => result += &text,
            HostEvent::Progress { done, total, .. } => progress.push((done, total)),
            HostEvent::Status(_) => status += 1,
            _ => {}
        }
    }
    progress.sort_unstable();
    assert_eq!(progress, [1, 2, 3].map(|done| (done, Some(3))));
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    assert!(result["images"] == 3 && status > 0, "{result} {status}");
}

#[test]
fn an_evaluation_stops_at_the_request_of_the_host() {
    let folder = dataset();
    let data = folder.path().join("data.json").display().to_string();
    let arguments = ["eval", picodet::DEFAULT_MODEL, &data, "--threads", "1"];
    let (result, events) = run(&arguments, true);
    assert_eq!(result.expect_err("it was stopped").to_string(), "stopped by the caller");
    let progress = events.iter().filter(|event| matches!(event, HostEvent::Progress { .. })).count();
    assert_eq!(progress, 1);
}

#[test]
fn errors_have_a_kind_and_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.safetensors");
    std::fs::write(&broken, b"no model").expect("a file");
    let broken = broken.display().to_string();
    let cases: [(&[&str], ErrorKind, &str); 3] = [
        (&["info", "--no-such-option"], ErrorKind::Arguments, "unexpected argument"),
        (&["export", "--model", &broken, "--output", "x.onnx"], ErrorKind::Model, "broken.safetensors"),
        (&["check", "/no/such/folder"], ErrorKind::Other, "/no/such/folder"),
    ];
    for (arguments, kind, part) in cases {
        let error = run(arguments, false).0.expect_err("an error");
        assert!(error.kind == kind && error.message.contains(part), "{arguments:?}: {error:?}");
        assert!(!error.message.contains('\n'), "{error:?}");
    }
}
