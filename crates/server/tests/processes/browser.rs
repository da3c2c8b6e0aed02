//! A real browser without a window: chromium, driven by chromedriver over
//! WebDriver, which is JSON over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::free_port::free_port;
use crate::waiting::{Guarded, Run, connect, wait_until};

/// For one answer of the driver; a first start of chromium is slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// A browser with one page.
pub(crate) struct Browser {
    port: u16,
    session: String,
    _driver: Guarded,
    /// Its profile; fresh, and gone with it.
    _profile: TempDir,
}

impl Browser {
    /// A browser, or what this machine lacks for one.
    pub(crate) fn start() -> Result<Self, String> {
        for program in ["chromium", "chromedriver"] {
            let there = Command::new(program).arg("--version").stdin(Stdio::null()).try_run();
            if !there.is_ok_and(|output| output.status.success()) {
                return Err(format!(
                    "{program} (on Debian: apt-get install chromium chromium-driver)"
                ));
            }
        }
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Guarded)
            .map_err(|error| format!("a chromedriver that starts: {error}"))?;
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { port, session: String::new(), _driver: driver, _profile: profile };
        wait_until("chromedriver answers", || {
            browser.request("GET", "/status", &json!({})).is_some()
        });
        let profile = browser._profile.path().display().to_string();
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &format!("--user-data-dir={profile}"),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.request("POST", "/session", &wanted).unwrap();
        browser.session = session["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no session: {session}"))
            .to_owned();
        Ok(browser)
    }

    pub(crate) fn open(&self, url: &str) {
        self.ask("POST", "url", &json!({"url": url}));
    }

    /// What a script in the page returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask("POST", "execute/sync", &json!({"script": script, "args": []}))
    }

    /// Presses and releases a key.
    pub(crate) fn press(&self, key: &str) {
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": keys});
        self.ask("POST", "actions", &json!({"actions": [keyboard]}));
    }

    /// Shows the page so wide, in `light` or `dark`.
    pub(crate) fn show_as(&self, width: u32, scheme: &str) {
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.command("Emulation.setEmulatedMedia", &json!({"features": scheme}));
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", &size);
        self.command("Emulation.setScrollbarsHidden", &json!({"hidden": true}));
    }

    /// A picture of the whole page, for a person to look at.
    pub(crate) fn picture(&self, name: &str) -> PathBuf {
        let wanted = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.command("Page.captureScreenshot", &wanted);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, from_base64(picture["data"].as_str().unwrap())).unwrap();
        path
    }

    /// What the browser complained about.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let lines = self.ask("POST", "se/log", &json!({"type": "browser"}));
        let lines = lines.as_array().unwrap().iter();
        lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    fn command(&self, command: &str, params: &Value) -> Value {
        self.ask("POST", "goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        let answer = self.request(method, &path, body).unwrap();
        assert!(answer.get("error").is_none(), "{path}: {answer}");
        answer
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let mut stream = connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut reader = BufReader::new(stream);
        let mut bytes = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                bytes = length.trim().parse().ok()?;
            }
        }
        let mut answer = vec![0; bytes];
        reader.read_exact(&mut answer).ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        Some(answer["value"].clone())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends chromium; the driver's end alone would leave it behind.
        let _ = self.request("DELETE", &format!("/session/{}", self.session), &json!({}));
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut len) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|it| *it == byte)) {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        len += 6;
        if len >= 8 {
            len -= 8;
            bytes.push(u8::try_from(bits >> len & 0xff).unwrap());
        }
    }
    bytes
}
