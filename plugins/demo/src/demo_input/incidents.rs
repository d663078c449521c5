//! What goes wrong at the site, and when: seeded, each with a beginning and an end.

/// Nanoseconds from the start to the first incident.
const FIRST_AFTER_NS: i64 = 6 * SECOND_NS;
/// Shortest and longest incident, in nanoseconds.
const LENGTH_NS: (i64, i64) = (4 * SECOND_NS, 10 * SECOND_NS);
/// Shortest and longest time between two incidents, in nanoseconds.
const PAUSE_NS: (i64, i64) = (12 * SECOND_NS, 35 * SECOND_NS);

const SECOND_NS: i64 = 1_000_000_000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incident {
    /// What makes pages and answers calls cannot be reached: 502, 504, and visitors who give up.
    BackendDown,
    /// A new version of the cart fails: 500.
    BadRelease,
    /// Half of the files are missing after a release: 404.
    MissingFiles,
    /// Somebody looks for holes: many 404 from one address.
    Scan,
}

impl Incident {
    const ALL: [Self; 4] = [Self::BackendDown, Self::BadRelease, Self::MissingFiles, Self::Scan];

    /// Words for logs and reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BackendDown => "backend down",
            Self::BadRelease => "bad release",
            Self::MissingFiles => "missing files",
            Self::Scan => "scan",
        }
    }
}

/// The incidents one after another.
#[derive(Debug)]
pub(super) struct Incidents {
    /// Its own, so that incidents do not depend on how many lines there are.
    rng: fastrand::Rng,
    next: Option<Planned>,
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    incident: Incident,
    begin_ns: i64,
    end_ns: i64,
}

impl Incidents {
    /// Incidents of a run that begins at `start_ns`.
    pub(super) fn new(seed: u64, start_ns: i64) -> Self {
        let mut incidents = Self { rng: fastrand::Rng::with_seed(seed), next: None, count: 0 };
        incidents.plan(start_ns.saturating_add(FIRST_AFTER_NS));
        incidents
    }

    /// A run in which nothing goes wrong.
    pub(super) fn never() -> Self {
        Self { rng: fastrand::Rng::with_seed(0), next: None, count: 0 }
    }

    /// The incident of this moment.
    pub(super) fn at(&mut self, now_ns: i64) -> Option<Incident> {
        let mut planned = self.next?;
        if now_ns >= planned.end_ns {
            let pause = self.rng.i64(PAUSE_NS.0..=PAUSE_NS.1);
            // Those that a sleeping machine missed are not made up for.
            let missed = now_ns.saturating_sub(planned.end_ns) > PAUSE_NS.1;
            let from = if missed { now_ns } else { planned.end_ns };
            planned = self.plan(from.saturating_add(pause));
        }
        (now_ns >= planned.begin_ns && now_ns < planned.end_ns).then_some(planned.incident)
    }

    fn plan(&mut self, begin_ns: i64) -> Planned {
        // Each kind comes once in every four, so that a short look sees all of them.
        let incident = Incident::ALL[self.count % Incident::ALL.len()];
        self.count += 1;
        let length = self.rng.i64(LENGTH_NS.0..=LENGTH_NS.1);
        let planned = Planned { incident, begin_ns, end_ns: begin_ns.saturating_add(length) };
        self.next = Some(planned);
        planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seed: u64, seconds: i64) -> Vec<Option<Incident>> {
        let mut incidents = Incidents::new(seed, 1_000);
        (0..seconds).map(|second| incidents.at(1_000 + second * SECOND_NS)).collect()
    }

    #[test]
    fn incidents_have_a_beginning_an_end_and_a_pause_between_them() {
        let history = history(1, 400);
        assert!(history[..6].iter().all(Option::is_none));
        assert_eq!(history[6], Some(Incident::BackendDown));
        let mut runs = Vec::new();
        for chunk in history.chunk_by(|left, right| left == right) {
            match chunk[0] {
                Some(incident) => {
                    assert!((4..=11).contains(&chunk.len()), "{}", chunk.len());
                    runs.push(incident);
                }
                None => assert!(chunk.len() >= 6),
            }
        }
        assert_eq!(runs[..4], Incident::ALL);
    }

    #[test]
    fn the_same_seed_has_the_same_incidents() {
        assert_eq!(history(5, 200), history(5, 200));
        assert_ne!(history(5, 200), history(6, 200));
    }

    #[test]
    fn after_a_long_sleep_there_is_one_next_incident_and_no_storm() {
        let mut incidents = Incidents::new(1, 0);
        assert_eq!(incidents.at(i64::MAX / 2), None);
        let planned = incidents.next.unwrap();
        assert!(planned.begin_ns > i64::MAX / 2);
        assert_eq!(Incidents::never().at(10 * SECOND_NS), None);
    }
}
