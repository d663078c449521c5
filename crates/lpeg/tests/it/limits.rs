//! Each limit holds at its edge, and nothing from outside overflows the stack or goes on for ever.

use heka_lpeg::{
    Budget, CharSet, DEPTH_MAX, Error, Limits, MatchError, Matcher, NODES_MAX, Pattern, Program,
    RULES_MAX,
};

use crate::model::expr::describe;
use crate::model::host::{Outcome, Plain, STEPS, outcome, run};
use crate::model::parse::parse;
use crate::model::value::{Key, Value};

fn compile(pattern: &Pattern<Key>) -> Result<Program<Key>, Error> {
    pattern.compile(&mut Budget::new(STEPS), usize::MAX, &describe)
}

fn matched(program: &Program<Key>, subject: &[u8], limits: Limits) -> Outcome {
    run(&mut Matcher::new(), program, subject, 0, limits)
}

fn nested(depth: usize) -> Vec<u8> {
    [vec![b'('; depth], vec![b'x'], vec![b')'; depth]].concat()
}

/// Matches with so many steps; gives those that were left.
fn with_budget(program: &Program<Key>, subject: &[u8], steps: u64) -> (Option<Error>, u64) {
    let budget = Budget::new(steps);
    let mut host = Plain { subject, arguments: vec![], stack: vec![Value::Nil], budget };
    let matched = Matcher::new().run(program, subject, 0, Limits::default(), &mut host);
    let error = match matched {
        Err(MatchError::Engine(error)) => Some(error),
        _ => None,
    };
    (error, host.budget.left())
}

#[test]
fn pending_calls_and_choices_are_limited_as_in_lpeg() {
    let expr = parse("P{'('*V(1)*')'+P'x'}");
    let end = |depth: usize| Ok(Some(vec![Value::Int(2 * depth as i64 + 2)]));
    let error = |limit| Err(format!("backtrack stack overflow (current limit is {limit})"));
    let limits = Limits::default();
    assert_eq!(outcome(&expr, &nested(398), 0, limits), end(398));
    assert_eq!(outcome(&expr, &nested(399), 0, limits), error(400));
    let limits = Limits { stack: 20_000, ..limits };
    assert_eq!(outcome(&expr, &nested(19_998), 0, limits), end(19_998));
    assert_eq!(outcome(&expr, &nested(19_999), 0, limits), error(20_000));
    assert_eq!(outcome(&parse("P'a'"), b"a", 0, Limits { stack: 0, ..limits }), end(0));
}

#[test]
fn a_matcher_can_be_used_after_a_match_with_other_limits() {
    let program = compile(&parse("P{'('*V(1)*')'+P'x'}").pattern().unwrap()).unwrap();
    let mut matcher = Matcher::new();
    let deep = Limits { stack: 10_000, ..Limits::default() };
    assert!(run(&mut matcher, &program, &nested(5_000), 0, deep).is_ok());
    assert!(run(&mut matcher, &program, &nested(399), 0, Limits::default()).is_err());
    assert!(run(&mut matcher, &program, &nested(398), 0, Limits::default()).is_ok());
    assert!(matcher.memory() < 1 << 20, "{} bytes", matcher.memory());
}

#[test]
fn an_exponential_grammar_ends_with_an_error() {
    let expr = parse("P{'a'*V(1)*'b'+'a'*V(1)*'c'+P'a'}");
    let program = compile(&expr.pattern().unwrap()).unwrap();
    let (error, left) = with_budget(&program, &[b'a'; 100], 1_000_000);
    assert_eq!((error, left), (Some(Error::OutOfBudget), 0));
}

#[test]
fn back_references_that_double_end_with_an_error() {
    let mut pattern = Pattern::literal(b"a").group(Some(Key::Value(Value::Int(0)))).unwrap();
    for index in 0..60 {
        let back = Pattern::back(Key::Value(Value::Int(index)));
        let twice = Pattern::sequence(&back, &back).unwrap();
        let group = twice.group(Some(Key::Value(Value::Int(index + 1)))).unwrap();
        pattern = Pattern::sequence(&pattern, &group).unwrap();
    }
    let last = Pattern::back(Key::Value(Value::Int(60)));
    let program = compile(&Pattern::sequence(&pattern, &last).unwrap()).unwrap();
    let (error, left) = with_budget(&program, b"a", 100_000);
    assert_eq!((error, left), (Some(Error::OutOfBudget), 0));
}

#[test]
fn the_budget_is_charged_for_steps_and_for_long_runs() {
    let program = compile(&parse("(R'az')^0").pattern().unwrap()).unwrap();
    let charged = |length: usize| STEPS - with_budget(&program, &vec![b'a'; length], STEPS).1;
    assert!(charged(10) < 10);
    assert!((62_500..63_000).contains(&charged(1_000_000)));
    let (error, _) = with_budget(&program, b"a", 1);
    assert_eq!(error, Some(Error::OutOfBudget));

    let mut budget = Budget::new(3);
    let words = Pattern::<Key>::set(&CharSet::range(b'a'..=b'b')).repeat(1000).unwrap();
    assert_eq!(words.compile(&mut budget, usize::MAX, &describe).unwrap_err(), Error::OutOfBudget);
}

#[test]
fn patterns_have_a_largest_size() {
    let set = Pattern::<Key>::set(&CharSet::range(b'a'..=b'b'));
    // A root, the copies, and a loop over one more.
    let most = i32::try_from(NODES_MAX).unwrap() - 3;
    assert_eq!(set.repeat(most).unwrap().size(), NODES_MAX);
    assert_eq!(set.repeat(most + 1).unwrap_err(), Error::TooLarge { limit: NODES_MAX });
    assert!(compile(&set.repeat(most).unwrap()).is_ok());

    let mut doubled = set;
    let error = std::iter::repeat_with(|| {
        doubled = doubled.repeat(1)?;
        Ok(())
    })
    .find_map(Result::err);
    assert!(matches!(error, Some(Error::TooLarge { .. } | Error::EmptyLoop)), "{error:?}");
}

#[test]
fn code_has_a_largest_size() {
    let pair = parse("C(P'a'*P'b'^0)").pattern().unwrap();
    let many = pair.repeat(-2_000_000_000).unwrap();
    assert!(matches!(compile(&many), Err(Error::TooLarge { .. })));
    let nothing = parse("P(true)^-2000000000*P(false)").pattern().unwrap();
    assert!(matches!(compile(&nothing), Err(Error::TooLarge { .. })));
    let bytes = Pattern::<Key>::set(&CharSet::range(b'a'..=b'b')).repeat(i32::MIN).unwrap();
    let program = compile(&bytes).unwrap();
    assert_eq!(matched(&program, b"abc", Limits::default()), Ok(Some(vec![Value::Int(3)])));
}

#[test]
fn patterns_have_a_deepest_nesting_that_fits_the_stack() {
    type Wrap = fn(&Pattern<Key>) -> Result<Pattern<Key>, Error>;
    let wraps: [Wrap; 6] = [
        Pattern::and,
        Pattern::not,
        Pattern::capture,
        |it| it.repeat(-2),
        |it| Pattern::choice(&Pattern::sequence(&Pattern::literal(b"ab"), it)?, &Pattern::any(2)),
        |it| {
            Pattern::grammar(&[(Key::Value(Value::Int(1)), it)], &mut Budget::new(STEPS), &describe)
        },
    ];
    for (index, wrap) in wraps.into_iter().enumerate() {
        let mut pattern = Pattern::literal(b"a");
        let error = loop {
            match wrap(&pattern) {
                Ok(next) => pattern = next,
                Err(error) => break error,
            }
        };
        let is_deep = error == Error::TooDeep { limit: DEPTH_MAX };
        assert!(is_deep, "wrap {index}: {error}");
        // What is as deep as allowed compiles, and matches or runs into a limit.
        match compile(&pattern) {
            Ok(program) => drop(matched(&program, &[b'a'; 100], Limits::default())),
            Err(error) => assert!(matches!(error, Error::TooLarge { .. }), "wrap {index}: {error}"),
        }
    }
}

#[test]
fn long_sequences_and_choices_are_not_deep() {
    let mut words = Pattern::<Key>::boolean(false);
    let mut all = Pattern::boolean(true);
    for index in 0..3_000 {
        let word = Pattern::literal(format!("word{index};").as_bytes());
        words = Pattern::choice(&words, &word).unwrap();
        all = Pattern::sequence(&all, &word).unwrap();
    }
    let program = compile(&words).unwrap();
    let found = matched(&program, b"word2999;", Limits::default());
    assert_eq!(found, Ok(Some(vec![Value::Int(10)])));
    let program = compile(&all).unwrap();
    assert_eq!(program.size(), 2, "one literal and the end");
}

#[test]
fn rules_are_limited() {
    let rules = |count: usize| -> Result<Pattern<Key>, Error> {
        let rule = Pattern::literal(b"a");
        let name = |number: usize| Key::Value(Value::Int(number as i64));
        let rules: Vec<_> = (0..count).map(|number| (name(number), &rule)).collect();
        Pattern::grammar(&rules, &mut Budget::new(STEPS), &describe)
    };
    assert!(rules(RULES_MAX).is_ok());
    assert_eq!(rules(RULES_MAX + 1).unwrap_err(), Error::TooManyRules);
    assert_eq!(rules(0).unwrap_err(), Error::NoInitialRule);
}

#[test]
fn captures_are_limited() {
    let program = compile(&parse("C(1)^0").pattern().unwrap()).unwrap();
    let limits = Limits { captures: 100, ..Limits::default() };
    let found = matched(&program, &[b'a'; 100], limits).unwrap().unwrap();
    assert_eq!(found.len(), 100);
    let error = matched(&program, &[b'a'; 101], limits).unwrap_err();
    assert_eq!(error, "too many captures");
    let none = Limits { captures: 0, ..limits };
    assert_eq!(matched(&program, b"a", none).unwrap_err(), "too many captures");
}

#[test]
fn captures_in_captures_are_limited_as_in_lpeg() {
    let tables = |depth: usize| {
        let table = |inner: Pattern<Key>, _| inner.table().unwrap();
        (0..depth).fold(Pattern::literal(b"a"), table)
    };
    let run = |depth| matched(&compile(&tables(depth)).unwrap(), b"a", Limits::default());
    assert!(run(201).is_ok());
    assert_eq!(run(202).unwrap_err(), "subcapture nesting too deep");

    // Recursion of a grammar makes texts in texts in texts.
    let program = compile(&parse("P{Cs('('*V(1)*')')+P'x'}").pattern().unwrap()).unwrap();
    let limits = Limits { stack: 10_000, ..Limits::default() };
    let found = matched(&program, &nested(600), limits).unwrap().unwrap();
    assert_eq!(found, [Value::Text(nested(600))]);
    assert_eq!(matched(&program, &nested(602), limits).unwrap_err(), "subcapture nesting too deep");
}

#[test]
fn many_match_time_captures_take_time_in_proportion() {
    let expr = parse("(Cmt(C(1),keep)*C(1))^0");
    let program = compile(&expr.pattern().unwrap()).unwrap();
    let steps = |length| {
        let (error, left) = with_budget(&program, &vec![b'a'; length], STEPS);
        assert_eq!(error, None);
        STEPS - left
    };
    assert!(steps(4_000) < 5 * steps(1_000), "{} and {}", steps(4_000), steps(1_000));
}

#[test]
fn code_points_match_their_encodings() {
    let pattern = Pattern::<Key>::code_points(0x80, 0x20ac).unwrap();
    let program = compile(&pattern.repeat(1).unwrap().capture().unwrap()).unwrap();
    let text = "é€".as_bytes();
    let found = matched(&program, text, Limits::default());
    assert_eq!(found, Ok(Some(vec![Value::Text(text.to_vec())])));
    assert_eq!(matched(&program, "₭".as_bytes(), Limits::default()), Ok(None));
}

#[test]
fn compiling_is_charged_for_the_code_and_limited_in_memory() {
    let many = parse("C(P'a'*P'b'^0)").pattern().unwrap().repeat(-100_000).unwrap();
    let mut budget = Budget::new(10_000);
    let error = many.compile(&mut budget, usize::MAX, &describe).unwrap_err();
    assert_eq!((error, budget.left()), (Error::OutOfBudget, 0));

    let patterns =
        ["S'abc'*S'abd'*S'abe'", "P'abcdef'*C(1)*P'ghijkl'", "P'a'*1+P'b'*2+P'c'*3+P'd'*4"];
    for expr in patterns {
        let pattern = parse(expr).pattern().unwrap();
        let compile = |bytes| pattern.compile(&mut Budget::new(STEPS), bytes, &describe);
        let needed = (0..).find(|bytes| compile(*bytes).is_ok()).unwrap();
        let memory = compile(needed).unwrap().memory();
        assert!(memory <= needed && needed < 2 * memory + 100, "{expr}: {memory} of {needed}");
        assert_eq!(compile(needed - 1).unwrap_err(), Error::OutOfMemory);
    }
}

#[test]
fn checking_a_grammar_is_charged() {
    // Each pass learns of one rule more.
    let name = |number: usize| Key::Value(Value::Int(number as i64));
    let rule = |number: usize| {
        let byte = Pattern::literal(b"a");
        Pattern::choice(
            &byte,
            &Pattern::sequence(&byte, &Pattern::reference(name(number))).unwrap(),
        )
    };
    let rules: Vec<_> = (0..RULES_MAX).map(|it| rule((it + 1) % RULES_MAX).unwrap()).collect();
    let rules: Vec<_> = rules.iter().enumerate().map(|(it, rule)| (name(it), rule)).collect();
    let grammar = |steps| Pattern::grammar(&rules, &mut Budget::new(steps), &describe);
    assert!(grammar(10_000).is_ok());
    assert_eq!(grammar(100).unwrap_err(), Error::OutOfBudget);
}

#[test]
fn long_matches_are_run_in_slices() {
    let program = compile(&parse("(P'ab'+P'cd'*1+P'ce')^0*-1").pattern().unwrap()).unwrap();
    let subject = b"ab".repeat(2_000_000);
    let (error, left) = with_budget(&program, &subject, STEPS);
    assert_eq!(error, None);
    let steps = STEPS - left;
    assert!(steps > 1 << 22, "more than one slice: {steps}");
    let (error, left) = with_budget(&program, &subject, steps);
    assert_eq!((error, left), (None, 0));
    let (error, left) = with_budget(&program, &subject, steps - 1);
    assert_eq!((error, left), (Some(Error::OutOfBudget), 0));
}

#[test]
fn buffers_are_given_back() {
    let program = compile(&parse("C(1)^0").pattern().unwrap()).unwrap();
    let mut matcher = Matcher::new();
    let subject = [b'a'; 10_000];
    let wanted = run(&mut matcher, &program, &subject, 0, Limits::default());
    assert!(matcher.memory() > 100_000);
    matcher.shrink(4096);
    assert!(matcher.memory() < 3 * 4096, "{}", matcher.memory());
    assert_eq!(run(&mut matcher, &program, &subject, 0, Limits::default()), wanted);
}

#[test]
fn keys_are_told_and_can_be_changed() {
    let expr =
        "P{'a',a=Cg(C'x'*V'b','n')/tonumber/map/'%0'/1,b=Cmt(Cb'n',keep)*Cc(7)*Cp()*Carg(1)}";
    let pattern = parse(expr).pattern().unwrap();
    // The rules' names, the group's, the back reference's, the constant, and three functions or tables.
    assert_eq!(pattern.keys().count(), 8);
    let mut used = 0;
    let program = compile(&pattern).unwrap().map_keys(|key| {
        used += 1;
        (key, used)
    });
    assert_eq!(used, 6, "names of rules are gone");
    assert!(program.size() > 0);
}
