//! Published models from a server on this machine: success, cache, offline, errors of the server, changed
//! files.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use picodet::download::published::{PublishedError, open};
use picodet::download::{DownloadError, DownloadOptions};
use picodet_testing::Cases;

const NAME: &str = "picodet_xs_320_coco_lcnet";

/// How the server answers.
#[derive(Clone)]
enum Answer {
    Body(Vec<u8>),
    /// Closes the connection after half of the body.
    CutOff(Vec<u8>),
    Status(u16),
}

/// An HTTP server that answers every request for the file in the same way, and counts the requests.
struct Server {
    address: String,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}/mirror/", listener.local_addr().expect("an address"));
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (shared, counter) = (Arc::clone(&answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = shared.lock().expect("no panic").clone();
                let _ = serve(stream, &answer);
            }
        });
        Self { address, answer, requests }
    }

    fn answer(&self, answer: Answer) {
        *self.answer.lock().expect("no panic") = answer;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn options(&self, cache: &Path) -> DownloadOptions {
        DownloadOptions {
            cache: Some(cache.to_path_buf()),
            mirror: Some(self.address.clone()),
            ..DownloadOptions::default()
        }
    }
}

fn serve(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut start) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            start = range.trim().trim_end_matches('-').parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let is_file = first.starts_with(&format!("GET /mirror/{NAME}.pdparams "));
    match answer {
        Answer::Body(body) | Answer::CutOff(body) if is_file => {
            let rest = &body[start.min(body.len())..];
            let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                rest.len()
            )?;
            let sent = if matches!(answer, Answer::CutOff(_)) { rest.len() / 2 } else { rest.len() };
            stream.write_all(&rest[..sent])
        }
        Answer::Status(status) => {
            write!(stream, "HTTP/1.1 {status} Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

/// A `.pdparams` file of the network, every parameter with one value.
fn pdparams(value: f32) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let integer = |value: usize| [b"J", &(value as u32).to_le_bytes()[..]].concat();
    let variant = picodet::crates::zoo::variant("v2_xs_320").expect("a network");
    let graph = variant.architecture.graph(variant.classes.len());
    let mut file = b"\x80\x02}(".to_vec();
    for param in &graph.params {
        let name = picodet::crates::zoo::names::reference_name(&variant.architecture, &param.name);
        let shape: Vec<u8> = param.shape.iter().flat_map(|&extent| integer(extent)).collect();
        let bytes: Vec<u8> = (0..param.len()).flat_map(|_| value.to_le_bytes()).collect();
        file.extend(text(&name.expect("a name")));
        file.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01(");
        file.extend(shape);
        file.extend(b"tcnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R(K\x03X\x01\x00\x00\x00<");
        file.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89B");
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend(bytes);
        file.extend(b"tb");
    }
    file.extend(b"u.");
    file
}

/// Opens the model; the error as text.
fn try_open(name: &str, options: &DownloadOptions) -> Result<picodet::Model, String> {
    open(name, options, &mut |_, _| ()).map_err(|error| error.to_string())
}

#[test]
fn a_model_is_downloaded_once_and_then_read_from_the_cache() {
    let server = Server::start(Answer::Body(pdparams(0.5)));
    let cache = tempfile::tempdir().expect("a folder");
    let options = server.options(cache.path());
    let model = try_open(NAME, &options).expect("a model");
    assert_eq!((model.variant.name, model.metadata.licence.as_str()), ("v2_xs_320", "Apache-2.0"));
    assert!(
        model.metadata.origin.ends_with("/picodet_xs_320_coco_lcnet.pdparams"),
        "{}",
        model.metadata.origin
    );
    assert_eq!((model.metadata.classes.len(), model.metadata.category_ids[79]), (80, 90));
    assert_eq!(server.requests(), 1);
    let offline = DownloadOptions { offline: true, ..options.clone() };
    let mut cases = Cases::new();
    for (case, name, options) in
        [("file name", NAME, &options), ("network", "v2_xs_320", &options), ("offline", NAME, &offline)]
    {
        cases.check(case, try_open(name, options).is_ok_and(|cached| cached.weights == model.weights));
    }
    cases.finish();
    assert_eq!(server.requests(), 1, "the cache was used");
    // The native model is gone: the file in the cache is converted again.
    let native = std::fs::read_dir(cache.path()).expect("a folder").flatten().map(|entry| entry.path());
    let native =
        native.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    std::fs::remove_file(native.expect("a native model")).expect("removed");
    assert!(try_open(NAME, &offline).is_ok_and(|cached| cached.weights == model.weights));
}

#[test]
fn errors_name_the_cause_and_leave_nothing_behind() {
    let server = Server::start(Answer::Status(404));
    let cache = tempfile::tempdir().expect("a folder");
    let options = server.options(cache.path());
    let with = |change: fn(&mut DownloadOptions)| {
        let mut options = options.clone();
        change(&mut options);
        options
    };
    let mut cases = Cases::new();
    let mut refused = |case: &str, name: &str, options: &DownloadOptions, reason: &str| {
        let found = try_open(name, options).map(|model| model.variant.name);
        cases.check(format!("{case}: {found:?}"), found.is_err_and(|error| error.contains(reason)));
    };
    refused("offline", NAME, &with(|options| options.offline = true), "--offline");
    refused("unknown name", "picodet_xxl", &options, "`picodet models`");
    refused("no published weights", "ablation_1_base_416", &options, "`picodet models`");
    refused("404", NAME, &options, "status 404");
    server.answer(Answer::Status(503));
    refused("503", NAME, &options, "status 503");
    refused(
        "http elsewhere",
        NAME,
        &with(|options| options.mirror = Some("http://example.org".into())),
        "https",
    );
    server.answer(Answer::Body(b"<html>Not a model</html>".to_vec()));
    refused(
        "a page",
        NAME,
        &with(|options| options.cache.as_mut().expect("a folder").push("page")),
        "not as expected",
    );
    server.answer(Answer::Body(pdparams(0.5)));
    refused("wrong sha256", NAME, &with(|options| options.sha256 = Some("00".repeat(32))), "sha256");
    cases.finish();
    assert!(try_open(NAME, &options).is_ok(), "after errors the download succeeds");
}

#[test]
fn a_cut_off_download_is_resumed() {
    let body = pdparams(0.25);
    let server = Server::start(Answer::CutOff(body.clone()));
    let cache = tempfile::tempdir().expect("a folder");
    let options = server.options(cache.path());
    let error = open(NAME, &options, &mut |_, _| ()).expect_err("half a file");
    assert!(matches!(error, PublishedError::Download(DownloadError::Transfer { .. })), "{error}");
    server.answer(Answer::Body(body));
    let mut first_position = None;
    let model = open(NAME, &options, &mut |received, _| {
        first_position.get_or_insert(received);
    });
    assert!(
        model.is_ok_and(|model| model.weights.values().all(|tensor| tensor.data.iter().all(|v| *v == 0.25)))
    );
    assert!(first_position.is_some_and(|received| received > 1_000_000), "resumed: {first_position:?}");
}

#[test]
fn a_file_that_changes_after_the_first_download_is_refused() {
    let server = Server::start(Answer::Body(pdparams(0.5)));
    let cache = tempfile::tempdir().expect("a folder");
    let options = server.options(cache.path());
    assert!(try_open(NAME, &options).is_ok());
    for entry in std::fs::read_dir(cache.path()).expect("a folder").flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "sha256") {
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
    server.answer(Answer::Body(pdparams(0.75)));
    let error = open(NAME, &options, &mut |_, _| ()).expect_err("another file");
    assert!(matches!(error, PublishedError::Download(DownloadError::Changed { .. })), "{error}");
    server.answer(Answer::Body(pdparams(0.5)));
    assert!(try_open(NAME, &options).is_ok());
}
