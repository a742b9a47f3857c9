//! The git repository around a directory, read from its files: starting git for that costs milliseconds.

use std::fs;
use std::path::{Path, PathBuf};

/// A repository's working tree: the main one, a linked worktree or a submodule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The nearest directory, `dir` itself or one above it, whose `.git` (a directory or a file) leads to a HEAD.
    ///
    /// An empty `.git` is none: Codex's sandbox leaves such in the directories that it protects when it is killed
    /// (0.169.0, in the temporary directory too).
    pub fn around(dir: &Path) -> Option<Self> {
        let dir = std::path::absolute(dir).ok()?;
        let all = dir.ancestors().map(|above| Repository { root: above.to_owned() });
        all.into_iter().find(|repository| repository.git_dir().is_some_and(|git| git.join("HEAD").exists()))
    }

    /// The directory that holds `.git`, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root of the main working tree, of which this may be a linked one.
    pub fn main_root(&self) -> PathBuf {
        let main = || {
            let git = self.git_dir()?;
            let common = git.join(fs::read_to_string(git.join("commondir")).ok()?.trim()).canonicalize().ok()?;
            (common.file_name()? == ".git").then(|| common.parent().map(Path::to_owned))?
        };
        main().unwrap_or_else(|| self.root.clone())
    }

    /// The root directory's own name; `None` for a file system's root, or a name that is not UTF-8.
    pub fn name(&self) -> Option<String> {
        Some(self.root.file_name()?.to_str()?.to_owned())
    }

    /// The branch that is checked out, also before its first commit; `None` when HEAD is detached or cannot be read.
    pub fn branch(&self) -> Option<String> {
        let head = fs::read_to_string(self.git_dir()?.join("HEAD")).ok()?;
        let branch = head.trim_end().strip_prefix("ref: refs/heads/")?;
        // With the reftable format git keeps HEAD elsewhere, behind this name that no branch can have (2.47).
        (branch != ".invalid").then(|| branch.to_owned())
    }

    /// Where git keeps this tree's HEAD: `.git`, or what a file `.git` (worktree, submodule) points to.
    fn git_dir(&self) -> Option<PathBuf> {
        let git = self.root.join(".git");
        if git.is_dir() {
            return Some(git);
        }
        let pointer = fs::read_to_string(git).ok()?;
        Some(self.root.join(pointer.strip_prefix("gitdir:")?.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs git in `dir`, out of reach of the user's own settings and of a hook that runs these tests.
    fn git(dir: &Path, args: &[&str]) {
        let mut command = Command::new("git");
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        command.env("GIT_CONFIG_GLOBAL", dir.join("absent")).env("GIT_CONFIG_NOSYSTEM", "1");
        let output = command.current_dir(dir).args(identity).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn repository(dir: &Path, name: &str) -> PathBuf {
        git(dir, &["init", "--quiet", name]);
        let root = dir.join(name);
        git(&root, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
        root
    }

    fn branch(dir: &Path) -> Option<String> {
        Repository::around(dir).unwrap().branch()
    }

    #[test]
    fn an_empty_directory_called_git_is_no_repository() {
        let dir = tempfile::tempdir().unwrap();
        let outer = repository(dir.path(), "outer");
        fs::create_dir_all(outer.join("inner/.git")).unwrap();
        assert_eq!(Repository::around(&outer.join("inner")).unwrap().root(), outer);
    }

    #[test]
    fn the_repository_is_found_from_below_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = repository(dir.path(), "My Repo");
        let below = root.join("a").join("b");
        fs::create_dir_all(&below).unwrap();
        let found = Repository::around(&below).unwrap();
        assert_eq!(found.root(), root);
        assert_eq!(found.name().as_deref(), Some("My Repo"));
        assert_eq!(Repository::around(dir.path()), None);
    }

    #[test]
    fn the_branch_is_the_one_checked_out_and_none_when_detached() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet", "unborn"]);
        assert_eq!(branch(&dir.path().join("unborn")).as_deref(), Some("main"));
        let root = repository(dir.path(), "r");
        git(&root, &["switch", "--quiet", "--create", "fix/x/y"]);
        assert_eq!(branch(&root).as_deref(), Some("fix/x/y"));
        git(&root, &["switch", "--quiet", "--detach"]);
        assert_eq!(branch(&root), None);
    }

    #[test]
    fn a_worktree_and_a_submodule_have_their_own_branch() {
        let dir = tempfile::tempdir().unwrap();
        let root = repository(dir.path(), "r");
        git(&root, &["worktree", "add", "--quiet", "-b", "side", "../tree"]);
        assert_eq!(branch(&dir.path().join("tree")).as_deref(), Some("side"));
        assert_eq!(Repository::around(&dir.path().join("tree")).unwrap().name().as_deref(), Some("tree"));
        let main_root = |dir: &Path| Repository::around(dir).unwrap().main_root().canonicalize().unwrap();
        assert_eq!(main_root(&dir.path().join("tree")), root.canonicalize().unwrap());
        assert_eq!(main_root(&root), root.canonicalize().unwrap());

        repository(dir.path(), "lib");
        git(&root, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib", "sub"]);
        git(&root.join("sub"), &["switch", "--quiet", "--create", "of-the-submodule"]);
        assert!(fs::read_to_string(root.join("sub/.git")).unwrap().starts_with("gitdir: ../"), "a relative path");
        assert_eq!(branch(&root.join("sub")).as_deref(), Some("of-the-submodule"));
        assert_eq!(branch(&root).as_deref(), Some("main"));
        assert_eq!(main_root(&root.join("sub")), root.join("sub").canonicalize().unwrap());
    }

    #[test]
    fn a_git_file_that_leads_nowhere_is_no_repository() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/HEAD"), "ref: refs/heads/b\n").unwrap();
        for content in ["", "nonsense", "gitdir: absent\n"] {
            fs::write(dir.path().join(".git"), content).unwrap();
            assert_ne!(Repository::around(dir.path()).map(|r| r.root), Some(dir.path().to_owned()), "{content:?}");
        }
        fs::write(dir.path().join(".git"), "gitdir: kept\n").unwrap();
        assert_eq!(branch(dir.path()).as_deref(), Some("b"));
        fs::write(dir.path().join("kept/HEAD"), "ref: refs/heads/.invalid\n").unwrap();
        assert_eq!(branch(dir.path()), None, "reftable");
    }
}
