if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local grammar = harness.load("x", {}, { source = [[m = require "sfl4j"]] }).env.m.logevent_grammar

test("an event with its stack trace", function()
    equal(grammar:match("ERROR [2014-02-10 08:46:41,250] com.example.Main: it broke: badly\njava.lang.X\n\tat a(B.java:1)\n"), {
        severity = 3, timestamp = 1392022001.25e9, class = "com.example.Main", message = "it broke: badly",
        stacktrace = "java.lang.X\n\tat a(B.java:1)\n" })
end)

test("every level, and lines that are no events", function()
    for level, severity in pairs { TRACE = 7, DEBUG = 7, INFO = 6, WARN = 4, ERROR = 3, FATAL = 0 } do
        local t = grammar:match(level .. "  [2014-02-10 08:46:41,001] a.B: m")
        equal({ t.severity, t.message, t.stacktrace }, { severity, "m", "" }, level)
    end
    equal(grammar:match("NOTICE [2014-02-10 08:46:41,001] a.B: m"), nil)
    equal(grammar:match("INFO [2014-02-10 08:46:41] a.B: m"), nil)
end)

harness.finish()
