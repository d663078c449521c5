//! Filters that are loaded and unloaded while the daemon runs.

use std::sync::Arc;
use std::time::Duration;

use heka_engine::{Exit, Handles, Report};
use heka_stream::{MemoryStorage, Storage};

use crate::Running;
use crate::plugins::{dynamic, lines_of, manager_of};

const DONE: Exit = Exit { code: 0, undelivered: 0 };

fn moody(name: &str, more: &str) -> String {
    format!("[{name}];type = \"MoodyFilter\";message_matcher = \"Type == 'line'\";{more}")
}

/// Lines in, a loader that gets those of them that are commands, what filters and the daemon say out.
fn config(key: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("'''{line}'''")).collect();
    format!(
        "[hekad]\nshutdown_timeout = \"5s\"\n[in_{key}]\ntype = \"LinesInput\"\nlines = [{}]\n\
         [loader]\ntype = \"LoaderFilter\"\nkey = \"{key}\"\nmessage_matcher = \"Payload =~ /load /\"\n\
         [out]\ntype = \"CollectOutput\"\nkey = \"{key}.out\"\nmessage_matcher = \"Logger == 'hekad'\"\n",
        lines.join(", ")
    )
}

fn names(handles: &Handles) -> Vec<String> {
    handles.filters().map(|filter| filter.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_loaded_and_unloaded_from_within_a_filter() {
    let section = moody("m-a", "key = \"loads.seen\";last_words = \"bye\"");
    let load = format!("load {section}");
    let wrong = "load [m-b];type = \"MoodyFilter\";message_matcher = \"TRUE\";use_buffering = true";
    let lines = [load.clone(), load, wrong.into(), "unload m-b".into()];
    let running = Running::start(&config("loads", &lines));
    running.until("all commands", |_| lines_of("loads").len() == 4).await;
    let answers = lines_of("loads");
    assert_eq!(answers[..2], ["loaded", "m-a is already running"]);
    assert!(answers[2].contains("needs the log"), "{}", answers[2]);
    assert_eq!(answers[3], "unloaded false");
    assert_eq!(names(&running.handles), ["loader", "m-a"]);
    let report = Report::of(&running.handles);
    assert!(report.section("filters").iter().any(|entry| entry.name == "m-a"));
    let manager = manager_of("loads");
    assert!(manager.unload("m-a") && !manager.unload("m-a"));
    running.until("the end", |handles| names(handles) == ["loader"]).await;
    running.until("the announcement", |_| lines_of("loads.out").len() == 2).await;
    let told = "m-a (type MoodyFilter) terminated. Error: Filter unloaded.";
    assert_eq!(lines_of("loads.out"), ["bye", told]);
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("loads").len(), 4, "who unloads is not told of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_loaded_at_the_start_gets_all_and_ends_with_the_daemon() {
    let section = moody("early", "key = \"early.seen\";last_words = \"bye\"");
    let text = config("early", &["a".into(), "b".into()])
        .replace("key = \"early\"\n", &format!("key = \"early\"\nfirst = '''{section}'''\n"));
    let running = Running::start(&text);
    running.until("the lines", |_| lines_of("early.seen").len() == 3).await;
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("early.seen"), ["started", "a", "b"]);
    assert_eq!(lines_of("early.out"), ["bye"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loaded_a_filter_is_told_that_it_ended_and_may_load_it_again() {
    let running = Running::start(&config("tells", &[]));
    let manager = manager_of("tells");
    let matcher = "message_matcher = \"Type == 'heka.terminated'\"";
    let section = "[short];type = \"MoodyFilter\";key = \"tells.seen\";can_exit = true;\
                   exit_at = \"go\";announces = true;message_matcher = \"Payload == 'go'\"";
    for count in 1..=3 {
        manager.load(dynamic("tells", section)).unwrap();
        let other = format!("[go-{count}];type = \"MoodyFilter\";{matcher};last_words = \"go\"");
        manager.load(dynamic("tells", &other)).unwrap();
        assert!(manager.unload(&format!("go-{count}")));
        running.until("it is told", |_| lines_of("tells").len() == count).await;
        assert!(!manager.unload("short"));
    }
    assert_eq!(lines_of("tells")[0], "short ended: enough");
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("tells.seen"), ["started", "go", "started", "go", "started", "go"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_come_and_go_under_traffic_cost_others_nothing() {
    let text = "[hekad]\nshutdown_timeout = \"5s\"\n\
                [in_traffic]\ntype = \"NumbersInput\"\ncount = 20000\n\
                [loader]\ntype = \"LoaderFilter\"\nkey = \"traffic\"\nmessage_matcher = \"FALSE\"\n\
                [out]\ntype = \"CollectOutput\"\nkey = \"traffic.out\"\nmessage_matcher = \"Logger == 'in_traffic'\"\n";
    let running = Running::start(text);
    let manager = manager_of("traffic");
    let mut count = 0;
    while lines_of("traffic.out").len() < 20_000 {
        let name = format!("t-{}", count % 3);
        let section = format!(
            "[{name}];type = \"MoodyFilter\";key = \"traffic.{count}\";message_matcher = \"Logger == 'in_traffic'\""
        );
        // One of the same name may still be at its end.
        manager.load(dynamic("traffic", &section)).unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
        assert!(manager.unload(&name));
        count += 1;
    }
    running.until("the end of all", |handles| names(handles) == ["loader"]).await;
    assert_eq!(running.stop().await, DONE);
    let expected: Vec<String> = (0..20_000).map(|number: u64| number.to_string()).collect();
    assert_eq!(lines_of("traffic.out"), expected, "all, once, in order");
    assert!(count > 20, "{count}");
    for number in 0..count {
        let seen = lines_of(&format!("traffic.{number}"));
        let seen: Vec<u64> = seen.iter().filter_map(|line| line.parse().ok()).collect();
        let gapless = seen.windows(2).all(|pair| pair[1] == pair[0] + 1);
        assert!(gapless, "{number}: what was routed to it while it ran came all, once, in order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_filter_that_is_loaded_again_goes_on_where_it_was() {
    let text = "[hekad]\nshutdown_timeout = \"5s\"\n[hekad.stream]\nretain_time = \"1h\"\n\
                [in_again]\ntype = \"NumbersInput\"\ncount = 4000\n\
                [loader]\ntype = \"LoaderFilter\"\nkey = \"again\"\nmessage_matcher = \"FALSE\"\n\
                first = '''SECTION'''\n\
                [out]\ntype = \"CollectOutput\"\nkey = \"again.out\"\nuse_buffering = true\nmessage_matcher = \"Logger == 'in_again'\"\n";
    let section = "[tally];type = \"TallyFilter\";key = \"again.tally\";use_buffering = true;\
                   message_matcher = \"Logger == 'in_again'\"";
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let running = Running::on(Arc::clone(&storage), &text.replace("SECTION", section));
    let manager = manager_of("again");
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(manager.unload("tally"));
        let mut answer = manager.load(dynamic("again", section));
        while let Err(error) = &answer {
            assert_eq!(error.to_string(), "tally is already running");
            tokio::time::sleep(Duration::from_millis(1)).await;
            answer = manager.load(dynamic("again", section));
        }
    }
    running.until("all numbers", |_| lines_of("again.out").len() == 4000).await;
    let whole = format!("4000 {}", 3999 * 4000 / 2);
    running.until("the tally", |_| lines_of("again.tally").concat().starts_with("4000")).await;
    assert_eq!(lines_of("again.tally"), [whole]);
    assert_eq!(running.stop().await, DONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_filters_are_loaded_get_all_and_are_unloaded() {
    let running = Running::start(&config("many", &[]));
    let manager = manager_of("many");
    let count = 300;
    let began = std::time::Instant::now();
    for number in 0..count {
        let matcher = format!("Payload == 'count {}'", number % 10);
        let section = format!(
            "[n-{number}];type = \"MoodyFilter\";key = \"many.seen\";message_matcher = \"{matcher}\""
        );
        manager.load(dynamic("many", &section)).unwrap();
    }
    let section =
        "[say];type = \"MoodyFilter\";last_words = \"count 7\";message_matcher = \"FALSE\"";
    manager.load(dynamic("many", section)).unwrap();
    assert!(manager.unload("say"));
    running.until("all have seen it", |_| lines_of("many.seen").len() == count + count / 10).await;
    for number in 0..count {
        assert!(manager.unload(&format!("n-{number}")));
    }
    running.until("the end of all", |handles| names(handles) == ["loader"]).await;
    println!("{:?} for {count} filters", began.elapsed());
    assert_eq!(running.stop().await, DONE);
}
