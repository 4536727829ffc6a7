//! The demo application: its sources are compiled, and an APK with the package's libraries and model is assembled and signed
//! with a key for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::abi::{ABIS, MIN_API};
use super::archive;
use crate::cross;

const MANIFEST: &str = "bindings/android/demo/app/src/main/AndroidManifest.xml";
/// Android's resources, of the Debian package android-framework-res.
const FRAMEWORK: &str = "/usr/share/android-framework-res/framework-res.apk";
/// The assembler of Dalvik code, of the Debian package libsmali-java.
const SMALI: [&str; 2] = ["/usr/share/java/smali.jar", "org.jf.smali.Main"];
/// Stands for the activity where no compiler for Dalvik code is installed: it loads the native library.
const ACTIVITY: &str = "bindings/android/test/MainActivity.smali";
/// Version of the platform that the APK names.
const TARGET_API: &str = "35";

/// Compiles the demo, and assembles the APK where Debian's tools are installed.
pub(super) fn test(work: &Path, aar: &Path, stubs: &Path) -> Result<()> {
    let package = work.join("classes");
    let demo = work.join("demo");
    archive::compile(&[Path::new("bindings/android/demo")], &[stubs, &package], &demo)?;
    println!("the demo compiles");
    let tools = ["aapt", "zipalign", "apksigner", "keytool"].map(|tool| cross::program(&[tool]));
    let [Some(aapt), Some(zipalign), Some(apksigner), Some(keytool)] = tools else {
        println!("SKIPPED: aapt, zipalign and apksigner are not installed: no APK");
        return Ok(());
    };
    if !Path::new(FRAMEWORK).is_file() {
        println!("SKIPPED: android-framework-res is not installed: no APK");
        return Ok(());
    }
    let content = work.join("apk");
    archive::unpack(aar, &content)?;
    let libraries = content.join("lib");
    std::fs::rename(content.join("jni"), &libraries)?;
    // The manifest of a Gradle project names no package.
    let package = "<manifest package=\"dev.picodet.demo\" ";
    let manifest = work.join("AndroidManifest.xml");
    std::fs::write(&manifest, std::fs::read_to_string(MANIFEST)?.replacen("<manifest ", package, 1))?;
    let unaligned = work.join("demo-unaligned.apk");
    let mut command = Command::new(&aapt);
    command.args(["package", "-f", "-I", FRAMEWORK, "--min-sdk-version", &MIN_API.to_string()]);
    command.args(["--target-sdk-version", TARGET_API, "--version-code", "1"]);
    command.args(["--version-name", env!("CARGO_PKG_VERSION")]).arg("-M").arg(manifest);
    command.arg("-A").arg(content.join("assets")).arg("-F").arg(&unaligned);
    cross::run(&mut command)?;
    dalvik(&content, &demo)?;
    let jar = cross::program(&["jar"]).context("the JDK's `jar` is not installed")?;
    let mut command = Command::new(jar);
    command.args(["--update", "--no-manifest", "--file"]).arg(&unaligned);
    command.arg("-C").arg(&content).arg("classes.dex").arg("-C").arg(&content).arg("lib");
    cross::run(&mut command)?;
    let file = work.join("picodet-demo.apk");
    cross::run(Command::new(&zipalign).args(["-f", "4"]).arg(&unaligned).arg(&file))?;
    sign(work, &keytool, &apksigner, &file)?;
    check(&aapt, &zipalign, &apksigner, &file)
}

/// Writes `classes.dex`: by d8 of the Android SDK if it is installed.
fn dalvik(content: &Path, demo: &Path) -> Result<()> {
    if let Some(d8) = cross::program(&["d8"]) {
        let jar = content.join("demo.jar");
        archive::jar(&jar, demo)?;
        let mut command = Command::new(d8);
        command.args(["--release", "--min-api", &MIN_API.to_string(), "--output"]).arg(content);
        cross::run(command.arg(jar).arg(content.join("classes.jar")))?;
        println!("d8 translates the package and the demo");
        return Ok(());
    }
    let java = cross::program(&["java"]).context("java is not installed")?;
    let path: Vec<PathBuf> =
        ["smali", "smali-util", "dexlib2", "util", "guava", "antlr3-runtime", "jcommander"]
            .iter()
            .map(|name| Path::new(SMALI[0]).with_file_name(format!("{name}.jar")))
            .collect();
    let mut command = Command::new(java);
    command.arg("-cp").arg(std::env::join_paths(path)?).args([SMALI[1], "assemble", "--api"]);
    command.arg(MIN_API.to_string()).arg("--output").arg(content.join("classes.dex")).arg(ACTIVITY);
    println!("d8 is not installed: the APK has an activity that only loads the native library");
    cross::run(&mut command)
}

/// Signs with a key that is created for it.
fn sign(work: &Path, keytool: &Path, apksigner: &Path, file: &Path) -> Result<()> {
    let keys = work.join("test.jks");
    let _ = std::fs::remove_file(&keys);
    let mut command = Command::new(keytool);
    command.args(["-genkeypair", "-keystore"]).arg(&keys).args([
        "-storepass",
        "testing",
        "-keypass",
        "testing",
    ]);
    command.args(["-alias", "test", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=picodet test"]);
    cross::run(&mut command)?;
    let mut command = Command::new(apksigner);
    command.args(["sign", "--ks"]).arg(&keys).args(["--ks-pass", "pass:testing", "--min-sdk-version"]);
    cross::run(command.arg(MIN_API.to_string()).arg(file))
}

/// Checks the signature, the alignment, and what aapt reads.
fn check(aapt: &Path, zipalign: &Path, apksigner: &Path, file: &Path) -> Result<()> {
    let minimum = MIN_API.to_string();
    cross::run(Command::new(apksigner).args(["verify", "--min-sdk-version", &minimum]).arg(file))?;
    cross::run(Command::new(zipalign).args(["-c", "4"]).arg(file))?;
    let output = Command::new(aapt).args(["dump", "badging"]).arg(file).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut expected = vec![
        "package: name='dev.picodet.demo'".to_owned(),
        format!("sdkVersion:'{MIN_API}'"),
        "uses-permission: name='android.permission.CAMERA'".to_owned(),
        "launchable-activity: name='dev.picodet.demo.MainActivity'".to_owned(),
    ];
    expected.extend(ABIS.iter().map(|abi| format!("'{}'", abi.name)));
    if let Some(missing) = expected.iter().find(|part| !text.contains(part.as_str())) {
        bail!("{}: aapt finds no `{missing}`:\n{text}", file.display());
    }
    println!("{}: {} bytes, signed", file.display(), std::fs::metadata(file)?.len());
    Ok(())
}
