//! The control socket: made so that only owner and group can use it, and never taken from a living
//! appliance.
//!
//! A path in, a listening socket out, which removes itself at the end. Runs at the start.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use pressel_pipeline::limits::CONTROL_CLIENTS_MAX;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

/// Rights of the socket: read and write for its owner and its group, nothing for others.
const MODE: Mode = Mode::from_raw_mode(0o660);

/// A socket that clients can reach, and its name in the file system.
#[derive(Debug)]
pub struct ControlSocket {
    /// Does not block.
    pub listener: UnixListener,
    path: PathBuf,
    /// Device and number of the name that is ours.
    inode: (u64, u64),
}

impl ControlSocket {
    /// Makes the socket. What a dead appliance left at its path is replaced.
    ///
    /// # Errors
    /// One line that says why there is none and what to do.
    pub fn open(path: &Path) -> Result<Self, String> {
        open(path).map_err(|error| {
            let fix = match error.kind() {
                io::ErrorKind::NotFound => "make its folder (systemd: RuntimeDirectory=pressel)",
                io::ErrorKind::PermissionDenied => "let this user write into its folder",
                io::ErrorKind::AddrInUse => "give each appliance its own",
                _ => "choose another path",
            };
            format!(
                "control socket cannot be made path={} ({error}): {fix}, or name it with \
                 --control; `pressel status` and `pressel jobs` do not work until then",
                path.display()
            )
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Only what is ours: another appliance may have made its own by now.
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            fs::remove_file(&self.path).ok();
        }
    }
}

fn open(path: &Path) -> io::Result<ControlSocket> {
    let address = SocketAddrUnix::new(path)?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    // Two that start at once do not take each other for dead while one has bound and not listened.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = openat(CWD, folder, flags, Mode::empty())?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::ResourceBusy.into()),
        Err(errno) => return Err(errno.into()),
    }
    remove_dead(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &address)?;
    // Nobody can connect before `listen`, so the rights are right from the beginning.
    rustix::fs::chmod(path, MODE)?;
    listen(&socket, CONTROL_CLIENTS_MAX as i32 * 4)?;
    Ok(ControlSocket {
        listener: socket.into(),
        path: path.to_owned(),
        inode: inode(path)?,
    })
}

/// Removes the socket that a dead appliance left; anything else stays.
fn remove_dead(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::other("something that is no socket is there"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => {
            let why = "another pressel answers there";
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn check(path: &Path, words: &[&str]) {
        let why = ControlSocket::open(path).unwrap_err();
        for word in words {
            assert!(why.contains(word), "`{word}` is not in: {why}");
        }
        assert!(!why.contains('\n') && why.contains(path.to_str().unwrap()));
    }

    #[test]
    fn socket_is_for_owner_and_group_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let socket = ControlSocket::open(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o660);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn dead_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        // std's listener leaves its name behind, as a killed appliance does.
        drop(UnixListener::bind(&path).unwrap());
        let first = ControlSocket::open(&path).unwrap();
        check(&path, &["another pressel answers there", "--control"]);
        // Also one that is so busy that its queue is full.
        let full: Vec<_> = (0..99)
            .map_while(|_| {
                let flags = SocketFlags::NONBLOCK;
                let kind = SocketType::STREAM;
                let socket = socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
                let address = SocketAddrUnix::new(&path).unwrap();
                rustix::net::connect(&socket, &address)
                    .is_ok()
                    .then_some(socket)
            })
            .collect();
        assert!(full.len() < 99);
        drop(full);
        // Whose name was taken by another one does not remove that.
        fs::remove_file(&path).unwrap();
        let second = ControlSocket::open(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
    }

    #[test]
    fn path_that_cannot_be_is_one_line_with_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        check(
            &folder.path().join("none/control"),
            &["RuntimeDirectory=pressel", "pressel status"],
        );
        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        check(&file, &["no socket", "--control"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        check(&folder.path().join("x".repeat(200)), &["--control"]);
        if rustix::process::geteuid().is_root() {
            println!("skipped: root may write anywhere");
            return;
        }
        let closed = folder.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        check(&closed.join("control"), &["let this user write"]);
    }
}
