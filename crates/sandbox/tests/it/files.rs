//! The libraries `snappy` and `lfs`, as scripts see them.

use heka_sandbox::{Kind, Outcome, StartError};

use crate::harness::{Run, eval, settings};

/// What a script of an open kind prints, with a folder of its own.
fn open(text: &str) -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "require 'lfs' require 'string' require 'table' local D = '{}/' function process_message() {text} end",
        folder.path().display()
    );
    let mut set = settings(Kind::Output);
    set.keep_printed = true;
    let mut run = Run::start(&set, &script).unwrap();
    let outcome = run.process();
    assert!(matches!(outcome, Ok(Outcome::Done)), "{outcome:?}");
    (
        run.sandbox.take_printed().join("\n").replace(&format!("{}", folder.path().display()), "D"),
        folder,
    )
}

#[test]
fn texts_survive_snappy() {
    let found = eval(
        "require 'snappy' require 'string'
         local s = ('a text that repeats itself, '):rep(1000)
         local c = snappy.compress(s)
         assert(snappy.uncompress(c) == s and snappy.decompress(c) == s)
         assert(snappy.uncompress(snappy.compress('')) == '')
         local ok, e = pcall(snappy.uncompress, c:sub(1, 20))
         return tostring(#c < 2000) .. '|' .. e",
    );
    assert_eq!(
        found,
        "true|snappy: corrupt input (expected literal read of length 28; remaining src: 16; remaining dst: 28000)"
    );
    for (bytes, error) in [
        ("'\\255\\255\\255\\255\\15'", "not enough memory"),
        ("'\\128\\128\\2x'", "snappy: "),
        ("''", "snappy: corrupt input (empty)"),
        ("'\\255\\255\\255\\255\\255\\255\\255'", "snappy: "),
        ("{}", "bad argument #1 to '?' (string expected, got table)"),
    ] {
        let found = eval(&format!(
            "require 'snappy' local ok, e = pcall(snappy.uncompress, {bytes}) return e"
        ));
        assert!(found.starts_with(error), "{bytes}: {found}");
    }
    let found = eval(
        "require 'snappy' require 'string' local s = ('x'):rep(1e6) local c = snappy.compress(s)
         while true do snappy.uncompress(c) end",
    );
    assert!(found.starts_with("T: process_message() instruction_limit exceeded"), "{found}");
}

#[test]
fn filters_reach_no_files() {
    let Err(StartError::Script(report)) = Run::start(&settings(Kind::Filter), "require 'lfs'")
    else {
        panic!("it started")
    };
    assert_eq!(report.text, "f.lua:1: module 'lfs' disabled");
}

#[test]
fn files_are_told_and_made() {
    let (printed, folder) = open(
        "print(lfs.mkdir(D .. 'a'), lfs.mkdir(D .. 'a'))
         print(lfs.attributes(D .. 'a', 'mode'), lfs.attributes(D .. 'a').mode)
         print(lfs.attributes(D .. 'b'))
         print(pcall(lfs.attributes, D, 'x'))
         require 'io' require 'os'
         local f = io.open(D .. 'a/f', 'w') f:write('12345') f:close()
         print(lfs.touch(D .. 'a/f', 1000, 2000), lfs.touch(D .. 'b'))
         local t = lfs.attributes(D .. 'a/f')
         print(t.mode, t.size, t.access, t.modification, t.nlink, t.permissions:sub(1, 3))
         os.execute('ln -s f ' .. D .. 'a/l')
         print(lfs.symlinkattributes(D .. 'a/l', 'mode'), lfs.symlinkattributes(D .. 'a/l', 'target'),
           lfs.symlinkattributes(D .. 'a/l').target, lfs.attributes(D .. 'a/l', 'mode'))
         print(lfs.symlinkattributes(D .. 'a/f', 'target'))
         local names = {}
         for name in lfs.dir(D .. 'a') do names[#names + 1] = name end
         table.sort(names) print(table.concat(names, ' '))
         print(lfs.rmdir(D .. 'a')) print(lfs.rmdir(D .. 'b')) print(pcall(lfs.dir, D .. 'b'))
         local next, d = lfs.dir(D) print(d:next(), d:next()) d:close() print(pcall(d.next, d))
         print(pcall(lfs.chdir, D))
         print(type(lfs.currentdir()), lfs == require 'lfs')
         return 0",
    );
    let missing = "No such file or directory";
    let expected = format!(
        "true\tnil\tFile exists\t17\n\
         directory\tdirectory\n\
         nil\tcannot obtain information from file 'D/b': {missing}\t2\n\
         false\tinvalid attribute name 'x'\n\
         true\tnil\t{missing}\t2\n\
         file\t5\t1000\t2000\t1\trw-\n\
         link\tf\tf\tfile\n\
         nil\tcould not obtain link target: Invalid argument\t22\n\
         . .. f l\n\
         nil\tDirectory not empty\t39\n\
         nil\t{missing}\t2\n\
         false\tcannot open D/b: {missing}\n\
         .\t..\n\
         false\tbad argument #1 to '?' (closed directory)\n\
         false\tlfs.chdir is not available: all plugins share the working directory\n\
         string\ttrue"
    );
    assert_eq!(printed, expected);
    assert!(folder.path().join("a/f").exists());
}
