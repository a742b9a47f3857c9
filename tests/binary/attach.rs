//! `attach` where it cannot be: what is said then, and what to do. And what the UI is started with.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use atm_agent_mcp::session::Record;
use atm_agent_mcp::session::identity::Lock;

use crate::queue_cli::Pair;
use crate::server::within;

/// A Codex that tells how it was started.
const TELLS: &str = r#"#!/bin/sh
case "$*" in
  --version) echo codex-cli 0.169.0 ;;
  "resume --help") echo "  --remote <ADDR>" ;;
  *) echo "opened: $*"; pwd -P; env | grep -c "^ATM_" ;;
esac
"#;

/// One that knows no `--remote`.
const OLD: &str = "#!/bin/sh\ncase \"$*\" in --version) echo codex-cli 0.99.1 ;; *) echo nothing ;; esac\n";

struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Pair {
    fn codex(&self, script: &str) -> PathBuf {
        let path = self.stage.home().join("codex");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    async fn attach(&self, script: &str, args: &[&str]) -> Said {
        let mut command = self.stage.program(&[&["attach", "ana", "--team", "red"], args].concat());
        command.env("ATM_AGENT_MCP_CODEX_BIN", self.codex(script)).stdin(Stdio::null());
        let output = within("its end", command.output()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn runs(&self, change: impl FnOnce(&mut Record)) -> Lock {
        let mut record = self.ana.clone();
        change(&mut record);
        record.save(&self.dir).unwrap();
        Lock::take(&self.dir.agent_lock(&record.agent_id)).unwrap().expect("nobody has it")
    }
}

/// Which Codex, what is so of the agent, what is said, what to do.
type Case = (&'static str, fn(&mut Record), &'static str, &'static str);

#[tokio::test]
async fn an_agent_that_cannot_be_attached_to_says_why_and_what_to_do() {
    let absent = |record: &mut Record| record.socket = Some("/nowhere/s".into());
    let no_thread = |record: &mut Record| record.thread_id = None;
    let cases: [Case; 4] = [
        (TELLS, no_thread, "the agent ana has no thread yet", "give it its first prompt"),
        (TELLS, |_| {}, "its Codex listens on no socket, so nobody can attach", "use agent_read and agent_steer"),
        (TELLS, absent, "its Codex does not listen on /nowhere/s", "try again then"),
        (OLD, absent, "0.99.1) cannot attach: `codex resume` has no --remote", "npm install -g @openai/codex@latest"),
    ];
    for (codex, change, why, what_to_do) in cases {
        let pair = Pair::gather().await;
        let _runs = pair.runs(change);
        let said = pair.attach(codex, &[]).await;
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{}", said.stderr);
        assert!(said.stderr.contains(why) && said.stderr.contains(what_to_do), "{why}: {}", said.stderr);
    }
}

#[tokio::test]
async fn a_thread_is_opened_plainly_in_the_agents_directory_without_what_is_ours() {
    let pair = Pair::gather().await;
    let mut record = pair.ana.clone();
    let cwd = pair.stage.home().join("it's here");
    std::fs::create_dir(&cwd).unwrap();
    record.options.cwd = Some(cwd.to_str().unwrap().to_owned());
    record.save(&pair.dir).unwrap();
    let said = pair.attach(TELLS, &["--yes"]).await;
    let cwd = cwd.canonicalize().unwrap();
    assert_eq!(said.stdout, format!("opened: resume thread-of-ana\n{}\n0\n", cwd.display()), "{}", said.stderr);
    let said = pair.attach(TELLS, &[]).await;
    let codex = pair.stage.home().join("codex");
    let command = format!(
        "cd '{}' && {} resume thread-of-ana\n",
        record.cwd().display().to_string().replace('\'', r"'\''"),
        codex.display()
    );
    assert_eq!((said.code, said.stdout), (Some(1), command));
    assert!(said.stderr.contains("no server can continue the agent"), "{}", said.stderr);
    let said = pair.attach(&TELLS.replace("0.169.0", "0.144.6"), &[]).await;
    assert!(said.stderr.contains("Codex 0.144.6 may let both write in one thread"), "{}", said.stderr);
}

#[tokio::test]
async fn of_one_name_the_agent_that_runs_is_meant_and_if_none_does_their_ids_are_told() {
    let pair = Pair::gather().await;
    let mut other = pair.ana.clone();
    other.agent_id = pair.bob.agent_id.clone();
    other.thread_id = pair.bob.thread_id.clone();
    other.save(&pair.dir).unwrap();
    let said = pair.attach(TELLS, &["--yes"]).await;
    let ids = [&pair.ana.agent_id, &other.agent_id].map(|id| id.as_str());
    assert!(said.code == Some(2) && ids.iter().all(|id| said.stderr.contains(id)), "{}", said.stderr);
    let _runs = Lock::take(&pair.dir.agent_lock(&other.agent_id)).unwrap().expect("nobody has it");
    let said = pair.attach(TELLS, &[]).await;
    assert!(said.stderr.contains("ana runs, but its Codex listens on no socket"), "{}", said.stderr);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_one_short_line() {
    let pair = Pair::gather().await;
    let broken = pair.dir.record(&pair.bob.agent_id);
    std::fs::write(&broken, "{").unwrap();
    let said = pair.attach(TELLS, &["--yes"]).await;
    assert!(said.stdout.starts_with("opened: resume thread-of-ana"), "{}", said.stderr);
    let lines: Vec<&str> = said.stderr.lines().filter(|line| line.contains("record")).collect();
    assert_eq!(lines, [format!("Warning: 1 record cannot be read: {}", broken.display())]);
}
