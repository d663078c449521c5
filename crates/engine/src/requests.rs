//! What operators ask of the daemon: request files in `<base_dir>/requests`, carried out one after the other.
//!
//! Here: how a request is written and read, rewinds, what happens to the files. Not here: how dead letters are tried
//! again (`requeue`), the commands that ask. Invariants: no request stops anything; a file goes away only once what it
//! asks for is done, so that a crash or a shutdown in between costs nothing; what cannot be done is told, and kept under
//! another name.

mod requeue;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heka_plugin::StopSwitch;
use heka_stream::{Durability, Storage};
use serde::{Deserialize, Serialize};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::RequestError;
use crate::report::Handles;
use crate::requests::requeue::{Requeue, UnderWay};
use crate::shared::Shared;
use crate::supervise::panic_text;

/// Directory of the requests below `base_dir`.
const DIRECTORY: &str = "requests";
/// What the name of a request ends in.
const SUFFIX: &str = ".json";
/// What is put behind the name of a request that is not carried out.
const REFUSED: &str = ".refused";
/// How often the directory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Longest request in bytes.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// Most dead letters that one request can ask for: their numbers fit into the longest request.
pub const LETTERS_MAX: usize = 40_000;
/// So many requests for dead letters are under way at once; others wait.
const REQUEUES_MAX: usize = 16;

/// What can be asked of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A consumer gets again what it got before.
    Rewind(RewindRequest),
    /// Dead letters with these numbers are tried again.
    Requeue(Vec<u64>),
    /// Plugins load the scripts and other files anew that changed.
    Reload,
}

/// Which consumer goes back to where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewindRequest {
    /// Section name of the filter or output.
    pub consumer: String,
    /// It gets everything from this number on again, as far as the log has it.
    pub sequence: u64,
}

impl Request {
    /// Leaves the request for the daemon of a `base_dir`; returns its file. `number` tells it from others of the process,
    /// and requests are carried out in the order of `now_ns`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn submit(
        &self,
        storage: &dyn Storage,
        base_dir: &Path,
        (now_ns, number): (i64, usize),
    ) -> io::Result<PathBuf> {
        let pid = std::process::id();
        let name = format!("{now_ns:020}-{number:04}-{pid}{SUFFIX}");
        let path = base_dir.join(DIRECTORY).join(name);
        storage.replace(&path, self.to_json()?.as_bytes(), Durability::PowerCut)?;
        Ok(path)
    }

    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The task that carries requests out.
pub(crate) struct Requests {
    task: JoinHandle<AllUnderWay>,
    stop: StopSwitch,
    name: &'static str,
}

/// Requests that were not done when the daemon began to stop.
pub(crate) struct AllUnderWay {
    place: Place,
    list: Vec<UnderWay>,
}

/// Where requests lie.
#[derive(Debug, Clone)]
struct Place {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
}

impl Requests {
    /// Begins to look for requests, at once and every second.
    pub(crate) fn start(shared: Arc<Shared>, handles: Handles) -> Self {
        let stop = StopSwitch::new().0;
        let place = Place {
            storage: Arc::clone(&shared.context.storage),
            directory: shared.context.base_dir.join(DIRECTORY),
        };
        let desk = Desk {
            shared,
            handles,
            place,
            stop: stop.clone(),
            known: BTreeSet::new(),
            requeues: JoinSet::new(),
            names: HashMap::new(),
        };
        Self { task: tokio::spawn(desk.run()), stop, name: DIRECTORY }
    }

    /// Nothing more is begun; returns what is not answered for yet.
    pub(crate) async fn stop(self) -> Option<AllUnderWay> {
        self.stop.stop();
        match self.task.await {
            Ok(under_way) => Some(under_way),
            Err(error) => {
                tracing::error!(task = self.name, "panicked: {}", panic_text(error));
                None
            }
        }
    }
}

impl AllUnderWay {
    /// The daemon has ended: what was not answered for stays in the requests, for the next start.
    pub(crate) fn keep_the_rest(self) {
        for under_way in self.list {
            let letters = under_way.unanswered();
            if letters.is_empty() {
                // Told where it cannot be.
                let _removed = self.place.remove(&under_way.file);
                continue;
            }
            let (file, count) = (&*under_way.file, letters.len());
            tracing::info!(
                file,
                letters = count,
                "dead letters are tried again after the next start"
            );
            self.place.replace(file, &Request::Requeue(letters));
        }
    }
}

/// Looks at the requests and begins what they ask for.
struct Desk {
    shared: Arc<Shared>,
    handles: Handles,
    place: Place,
    stop: StopSwitch,
    /// Files that are under way, and those that were dealt with and cannot be removed.
    known: BTreeSet<String>,
    requeues: JoinSet<Result<UnderWay, RequestError>>,
    /// Files of the requeues.
    names: HashMap<Id, String>,
}

impl Desk {
    async fn run(mut self) -> AllUnderWay {
        let mut stop = self.stop.signal();
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => break,
                Some(ended) = self.requeues.join_next_with_id() => self.ended(ended).map_or((), drop),
                _ = look.tick() => self.look().await,
            }
        }
        let mut list = Vec::new();
        while let Some(ended) = self.requeues.join_next_with_id().await {
            list.extend(self.ended(ended));
        }
        AllUnderWay { place: self.place, list }
    }

    async fn look(&mut self) {
        let place = self.place.clone();
        let found = match tokio::task::spawn_blocking(move || place.list()).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(%error, "requests cannot be listed");
                return;
            }
            Err(error) => {
                tracing::error!("requests: {}", panic_text(error));
                return;
            }
        };
        // What was removed since may be used again.
        self.known.retain(|name| found.contains(name));
        for name in found {
            if self.known.contains(&name) {
                continue;
            }
            let place = self.place.clone();
            let file = name.clone();
            let request = tokio::task::spawn_blocking(move || place.read(&file)).await;
            let request = request
                .unwrap_or_else(|error| Err(RequestError::Panicked(panic_text(error).clone())));
            if let Err(error) = request.and_then(|request| self.carry_out(&name, request)) {
                self.refuse(name, &error);
            }
        }
    }

    /// Does what a request asks for, or begins to; where too much is under way, not now.
    fn carry_out(&mut self, name: &str, request: Request) -> Result<(), RequestError> {
        let letters = match request {
            Request::Rewind(rewind) => {
                self.rewind(&rewind)?;
                self.done(name);
                return Ok(());
            }
            Request::Reload => {
                tracing::info!("plugins load anew what changed, as asked for");
                self.shared.context.reload.bump();
                self.done(name);
                return Ok(());
            }
            Request::Requeue(letters) => letters,
        };
        if self.requeues.len() >= REQUEUES_MAX {
            return Ok(());
        }
        let requeue = Requeue::new(
            Arc::clone(&self.shared),
            self.handles.clone(),
            (name.to_owned(), letters),
            self.stop.signal(),
        );
        let task = self.requeues.spawn(requeue.run());
        self.names.insert(task.id(), name.to_owned());
        self.known.insert(name.to_owned());
        Ok(())
    }

    fn rewind(&self, rewind: &RewindRequest) -> Result<(), RequestError> {
        let (consumer, sequence) = (rewind.consumer.clone(), rewind.sequence);
        let handle = self.handles.consumers.find(&consumer);
        let Some(handle) = handle else { return Err(RequestError::NoConsumer(consumer)) };
        let log = self.handles.stream.log().filter(|_| handle.consumer.is_durable());
        let Some(log) = log else { return Err(RequestError::NotBuffered(consumer)) };
        let cursor = log.cursor(&handle.consumer);
        if sequence > cursor {
            return Err(RequestError::Ahead { consumer, cursor, sequence });
        }
        log.rewind(&handle.consumer, sequence);
        tracing::info!(
            plugin = consumer,
            from = cursor,
            to = sequence,
            "was set back, as asked for"
        );
        Ok(())
    }

    /// A requeue is over: its file goes away, unless something is still to be answered for.
    fn ended(
        &mut self,
        ended: Result<(Id, Result<UnderWay, RequestError>), tokio::task::JoinError>,
    ) -> Option<UnderWay> {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let id = error.id();
                (id, Err(RequestError::Panicked(panic_text(error))))
            }
        };
        let name = self.names.remove(&id).unwrap_or_default();
        match outcome {
            Ok(under_way) if under_way.unanswered().is_empty() => {
                self.done(&name);
                None
            }
            Ok(under_way) => Some(under_way),
            Err(error) => {
                self.refuse(name, &error);
                None
            }
        }
    }

    fn refuse(&mut self, name: String, error: &RequestError) {
        let file = self.place.path(&name);
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(file = %file.display(), %error, cause, "a request is not carried out");
        match self.place.refuse(&name) {
            true => self.known.remove(&name),
            false => self.known.insert(name),
        };
    }

    /// What a request asked for is done.
    fn done(&mut self, name: &str) {
        match self.place.remove(name) {
            true => self.known.remove(name),
            false => self.known.insert(name.to_owned()),
        };
    }
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Names of all requests, oldest first.
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = self.storage.list(&self.directory)?;
        names.retain(|name| name.ends_with(SUFFIX));
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Request, RequestError> {
        let path = self.path(name);
        let file = self.storage.open_to_read(&path).map_err(RequestError::Read)?;
        let (bytes, most) = (file.len().map_err(RequestError::Read)?, REQUEST_BYTES_MAX);
        if bytes > most {
            return Err(RequestError::TooLong { bytes, most });
        }
        let content = self.storage.read(&path).map_err(RequestError::Read)?.unwrap_or_default();
        let request = serde_json::from_slice(&content)?;
        // Better not carried out at all than every second.
        let replaced = self.storage.replace(&path, &content, Durability::Crash);
        replaced.map_err(RequestError::Fixed)?;
        Ok(request)
    }

    fn replace(&self, name: &str, request: &Request) {
        let replaced = request.to_json().map_err(io::Error::from).and_then(|json| {
            self.storage.replace(&self.path(name), json.as_bytes(), Durability::Crash)
        });
        if let Err(error) = replaced {
            tracing::error!(file = name, %error, "a request cannot be changed: all of it comes again");
        }
    }

    /// False if it is still there.
    fn remove(&self, name: &str) -> bool {
        let removed = self.storage.remove(&self.path(name));
        if let Err(error) = &removed {
            tracing::error!(file = name, %error, "a request that was carried out cannot be removed");
        }
        removed.is_ok()
    }

    /// Keeps a request that is not carried out under another name; false if it keeps its own.
    fn refuse(&self, name: &str) -> bool {
        let path = self.path(name);
        let refused = self.path(&format!("{name}{REFUSED}"));
        let renamed = self.short(&path).and_then(|content| {
            self.storage.replace(&refused, &content, Durability::Crash)?;
            self.storage.remove(&path)
        });
        if let Err(error) = &renamed {
            tracing::warn!(file = name, %error, "a refused request keeps its name");
        }
        renamed.is_ok()
    }

    /// The content of a file that is not longer than a request can be.
    fn short(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.storage.open_to_read(path)?.len()? > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.storage.read(path).map(Option::unwrap_or_default)
    }
}

#[cfg(test)]
mod tests {
    use heka_stream::MemoryStorage;

    use super::*;

    fn place() -> (Arc<MemoryStorage>, Place) {
        let storage = Arc::new(MemoryStorage::default());
        let directory = Path::new("/base").join(DIRECTORY);
        (Arc::clone(&storage), Place { storage, directory })
    }

    #[test]
    fn requests_come_back_in_the_order_in_which_they_were_made() {
        let (storage, place) = place();
        let rewind = RewindRequest { consumer: "out".to_owned(), sequence: 123 };
        let requests =
            [Request::Requeue(vec![1, u64::MAX]), Request::Rewind(rewind), Request::Reload];
        for (number, request) in requests.iter().enumerate().rev() {
            request.submit(&*storage, Path::new("/base"), (number as i64, 0)).unwrap();
        }
        let names = place.list().unwrap();
        let read: Vec<_> = names.iter().map(|name| place.read(name).unwrap()).collect();
        assert_eq!(read, requests);
        assert_eq!(
            requests[1].to_json().unwrap(),
            r#"{"rewind":{"consumer":"out","sequence":123}}"#
        );
        assert_eq!(requests[2].to_json().unwrap(), r#""reload""#);
        assert_eq!(requests[0].to_json().unwrap(), r#"{"requeue":[1,18446744073709551615]}"#);
    }

    #[test]
    fn as_many_letters_as_may_be_asked_for_fit_into_a_request() {
        let most = Request::Requeue(vec![u64::MAX; LETTERS_MAX]);
        assert!(most.to_json().unwrap().len() as u64 <= REQUEST_BYTES_MAX);
    }

    #[test]
    fn what_is_no_request_is_told_from_one_and_kept_under_another_name() {
        let (storage, place) = place();
        let long = format!("{{\"requeue\":[{}1]}}", "1,".repeat(1 << 20));
        for (name, content) in [
            ("a.json", ""),
            ("b.json", "\u{0}\u{1}garbage"),
            ("c.json", r#"{"rewind":{"consumer":"out"}}"#),
            ("d.json", r#"{"rewind":{"consumer":"out","sequence":-1}}"#),
            ("e.json", r#"{"rewind":{"consumer":"out","sequence":1,"more":1}}"#),
            ("f.json", r#"{"requeue":["all"]}"#),
            ("g.json", r#"{"shutdown":{}}"#),
            ("h.json", r#"{"requeue":[1],"rewind":{"consumer":"out","sequence":1}}"#),
            ("i.json", &*long),
        ] {
            storage.replace(&place.path(name), content.as_bytes(), Durability::Crash).unwrap();
            assert!(place.read(name).is_err(), "{name}");
            assert_eq!(place.refuse(name), name != "i.json");
        }
        assert_eq!(place.list().unwrap(), ["i.json"], "too long to be kept twice");
        assert_eq!(storage.list(&place.directory).unwrap().len(), 9);
    }

    #[test]
    fn a_request_that_could_not_be_removed_is_not_carried_out() {
        let (storage, place) = place();
        let request = Request::Requeue(vec![1]);
        request.submit(&*storage, Path::new("/base"), (1, 0)).unwrap();
        storage.set_full(true);
        let name = place.list().unwrap().remove(0);
        assert!(matches!(place.read(&name), Err(RequestError::Fixed(_))));
    }
}
