//! Failures reach nobody else, and nothing is lost by them.

use heka_engine::Exit;
use heka_stream::DropReason;

use crate::plugins::lines_of;
use crate::{Running, plan};

const DONE: Exit = Exit { code: 0, undelivered: 0 };

fn config(key: &str, lines: &str, more: &str) -> String {
    format!(
        "[hekad]\nshutdown_timeout = \"1s\"\n[in_{key}]\ntype = \"LinesInput\"\nlines = {lines}\n\
         [out_{key}]\ntype = \"CollectOutput\"\nkey = \"{key}\"\nmessage_matcher = \"Type == 'line'\"\n{more}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_input_reads_is_delivered_and_settled() {
    let running = Running::start(&config("plain", "['a', 'b', 'c']", ""));
    running.until("delivery", |_| lines_of("plain").len() == 3).await;
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("plain"), ["a", "b", "c"]);
    assert_eq!(lines_of("in_plain.settled"), ["true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_finishes_ends_the_daemon_in_order() {
    let text = config("finish", "['a']", "").replace("lines =", "then = \"finish\"\nlines =");
    assert_eq!(Running::start(&text).ended().await, DONE);
    assert_eq!(lines_of("finish"), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_fails_or_panics_is_started_again() {
    for then in ["fail", "panic"] {
        let text =
            config(then, "['a']", "").replace("lines =", &format!("then = \"{then}\"\nlines ="));
        let text = format!("{text}[in_{then}.retries]\ndelay = \"1ms\"\nmax_jitter = \"0s\"\n");
        let running = Running::start(&text);
        running.until("a third start", |_| lines_of(then).len() >= 3).await;
        assert_eq!(running.stop().await, DONE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_ends_for_good_is_announced_where_it_may_and_else_ends_the_daemon() {
    let text = config("ends", "['a']", "").replace("lines =", "then = \"exit\"\nlines =");
    assert_eq!(Running::start(&text).ended().await, Exit { code: 1, undelivered: 0 });
    let watch = "[watch]\ntype = \"CollectOutput\"\nkey = \"ends.watch\"\nmessage_matcher = \"Type == 'heka.terminated'\"\n";
    let may = text.replace("lines =", "can_exit = true\nlines =");
    let running = Running::start(&format!("{may}{watch}"));
    running.until("the announcement", |_| !lines_of("ends.watch").is_empty()).await;
    let told = lines_of("ends.watch").concat();
    assert_eq!(told, "in_ends (type LinesInput) terminated. Error: as told");
    assert_eq!(running.handles.inputs()[0].plugin_counts.restarts.get(), 0);
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("ends"), ["a", "a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_out_of_retries_ends_the_daemon_unless_it_may_exit() {
    let text = config("tired", "[]", "").replace("lines =", "then = \"fail\"\nlines =");
    let retries = "[in_tired.retries]\nmax_retries = 1\ndelay = \"1ms\"\nmax_jitter = \"0s\"\n";
    let exit = Running::start(&format!("{text}{retries}")).ended().await;
    assert_eq!(exit, Exit { code: 1, undelivered: 0 });
    let may = text.replace("lines =", "can_exit = true\nlines =");
    let running = Running::start(&format!("{may}{retries}"));
    running
        .until("the second failure", |handles| {
            handles.inputs()[0].plugin_counts.restarts.get() == 2
        })
        .await;
    assert_eq!(running.stop().await, DONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_retries_delivers_all_once_it_works() {
    let running = Running::start(&config("later", "['a', 'b']", "failures = 3"));
    running.until("delivery", |_| lines_of("later").len() == 2).await;
    assert!(running.handles.outputs().all(|output| output.counts.retries.get() == 3));
    assert_eq!(running.stop().await, DONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_makes_an_output_panic_is_given_up_and_the_others_arrive() {
    let more = "panic_at = \"bad\"\n[out_poison.retries]\ndelay = \"1ms\"\nmax_jitter = \"0s\"\n";
    let running = Running::start(&config("poison", "['a', 'bad', 'c']", more));
    running.until("delivery", |_| lines_of("poison").contains(&"c".to_owned())).await;
    let output = running.handles.outputs().next().unwrap();
    assert!(output.counts.panics.get() >= 3);
    assert_eq!(output.consumer.counts().dropped(DropReason::Poison), 1);
    let mut seen = lines_of("poison");
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["a", "c"]);
    assert_eq!(running.stop().await, DONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_output_stops_no_other_one_and_its_messages_are_told_at_the_end() {
    let other = "fail = \"retry\"\n[alive]\ntype = \"CollectOutput\"\nkey = \"alive\"\nmessage_matcher = \"TRUE\"\n";
    let running = Running::start(&config("dead", "['a', 'b']", other));
    running.until("delivery beside it", |_| lines_of("alive").len() == 2).await;
    assert_eq!(running.stop().await, Exit { code: 1, undelivered: 2 });
    assert_eq!(lines_of("in_dead.settled"), ["false"], "what was not delivered is not settled");
    assert!(lines_of("dead").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_may_exit_is_removed_and_announced() {
    let more = "fail = \"fatal\"\ncan_exit = true\n\
                [out_gone.retries]\nmax_retries = 0\n\
                [watch]\ntype = \"CollectOutput\"\nkey = \"watch\"\nmessage_matcher = \"Type == 'heka.terminated'\"\n";
    let running = Running::start(&config("gone", "['a']", more));
    running.until("the announcement", |_| !lines_of("watch").is_empty()).await;
    let told = lines_of("watch").concat();
    assert_eq!(told, "out_gone (type CollectOutput) terminated. Error: cannot deliver: as told");
    assert_eq!(running.stop().await.code, 1, "its message was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_may_not_exit_ends_the_daemon() {
    let more = "fail = \"fatal\"\n[out_fatal.retries]\nmax_retries = 1\ndelay = \"1ms\"\nmax_jitter = \"0s\"\n";
    let exit = Running::start(&config("fatal", "['a']", more)).ended().await;
    assert_eq!(exit, Exit { code: 1, undelivered: 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_filters_inject_is_routed_up_to_the_loop_limit() {
    let more = "[echo]\ntype = \"EchoFilter\"\nmessage_type = \"x\"\nmessage_matcher = \"Type == 'line'\"\n\
                [more]\ntype = \"EchoFilter\"\nmessage_type = \"y\"\nmessage_matcher = \"Type == 'x' || Type == 'z'\"\n\
                [again]\ntype = \"EchoFilter\"\nmessage_type = \"z\"\nmessage_matcher = \"Type == 'y'\"\n\
                [all]\ntype = \"CollectOutput\"\nkey = \"loops.all\"\nmessage_matcher = \"Type != 'line'\"\n";
    let running = Running::start(&config("loops", "['a']", more));
    running
        .until("the loop's end", |handles| {
            handles.filters().any(|filter| filter.counts.inject_refused.get() == 1)
        })
        .await;
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("loops.all"), ["a+", "a++", "a+++", "a++++"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_cannot_feed_on_itself() {
    let more = "[echo]\ntype = \"EchoFilter\"\nmessage_type = \"line\"\nmessage_matcher = \"Type == 'line'\"\n";
    let running = Running::start(&config("itself", "['a']", more));
    running
        .until("the refusal", |handles| {
            handles.filters().any(|filter| filter.counts.inject_refused.get() == 1)
        })
        .await;
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("itself"), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_panics_is_started_again_and_its_ticker_fires() {
    let more = "[echo]\ntype = \"EchoFilter\"\nmessage_type = \"x\"\npanic_at = \"bad\"\nticker_interval = 1\nmessage_matcher = \"Type == 'line'\"\n\
                [echo.retries]\ndelay = \"1ms\"\nmax_jitter = \"0s\"\n\
                [all]\ntype = \"CollectOutput\"\nkey = \"panics.all\"\nmessage_matcher = \"Type == 'x' || Type == 'tick'\"\n";
    let running = Running::start(&config("panics", "['a', 'bad', 'c']", more));
    running.until("a tick", |_| lines_of("panics.all").contains(&"tick".to_owned())).await;
    assert_eq!(running.stop().await.undelivered, 0);
    let seen = lines_of("panics.all");
    assert!(seen.contains(&"a+".to_owned()) && seen.contains(&"c+".to_owned()), "{seen:?}");
}

#[test]
fn all_problems_of_a_plan_are_told_with_their_places() {
    let text = "[a]\ntype = \"LinesInputt\"\n[b]\ntype = \"CollectOutput\"\nencoder = \"RawEncodr\"\n\
                [c]\ntype = \"CollectOutput\"\nmessage_matcher = \"Type = 'x'\"\nkye = \"x\"\n\
                [d]\ntype = \"LinesInput\"\nsplitter = \"Nope\"\ndecoder = \"None\"\n";
    let problems = plan(text).err().unwrap().to_string();
    for expected in [
        "test.toml:2:1: [a] no registered plugin type: LinesInputt, did you mean 'LinesInput'?",
        "test.toml:3:1: [b] missing message_matcher",
        "test.toml:5:1: [b] there is no encoder section 'RawEncodr'",
        "test.toml:8:1: [c] cannot read message_matcher:",
        "test.toml:9:1: [c] unknown",
        "did you mean 'key'?",
        "test.toml:12:1: [d] there is no splitter section 'Nope'",
        "test.toml:13:1: [d] there is no decoder section 'None'",
    ] {
        assert!(problems.contains(expected), "{expected}\nis not in\n{problems}");
    }
}

#[test]
fn a_part_that_is_named_needs_no_section() {
    let text = "[in]\ntype = \"LinesInput\"\n[out]\ntype = \"CollectOutput\"\nmessage_matcher = \"TRUE\"\n";
    assert!(plan(text).is_ok());
    assert!(plan("").err().unwrap().has_errors(), "an empty configuration is refused");
}
