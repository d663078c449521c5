-- The decoders mysql_slow_query and mariadb_slow_query, and the module mysql.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal
local fields, field = harness.fields, harness.field

local function decode(kind, text, config)
    local messages, err = harness.load("lua_decoders/" .. kind .. "_slow_query.lua", config):decode { Payload = text }
    return messages and messages[1], err
end

local HEAD = "# User@Host: app[app] @  [10.0.0.5]\n"
local TIMES = "# Query_time: 2.5  Lock_time: 0.00005 Rows_sent: 3  Rows_examined: 9\n"
local STAMP = "SET timestamp=1399500744;\n"
local EXPECTED = { Query_time = 2.5, Lock_time = 5e-05, Rows_sent = 3, Rows_examined = 9 }

test("a record of MySQL", function()
    local m = decode("mysql", HEAD .. TIMES .. STAMP .. "SELECT 1;")
    equal({ m.Timestamp, m.Hostname, m.Payload, m.Type }, { 1399500744000000000, "10.0.0.5", "SELECT 1;", "mysql.slow-query" })
    equal(fields(m), EXPECTED)
    equal({ field(m, "Query_time").representation, field(m, "Lock_time").representation }, { "s", "s" })
    equal(field(m, "Rows_sent").representation, nil)
end)

test("lines that may stand there too", function()
    local m = decode("mysql", "# Time: 140507 15:12:24\n# Time: 140507 15:12:25\n" .. HEAD .. TIMES .. "use db;\n"
        .. "SET last_insert_id=3,insert_id=4,timestamp=1399500744;\n# administrator command: Ping;\n"
        .. "SELECT ';x'\nFROM t;\nnext")
    equal(m.Payload, "SELECT ';x'\nFROM t;\n")
    m = decode("mysql", HEAD .. TIMES .. "SET insert_id=4,timestamp=1;\nSELECT 1;\n")
    equal({ m.Timestamp, m.Payload }, { 1e9, "SELECT 1;\n" })
end)

test("names and columns of today", function()
    for _, head in ipairs { "# User@Host: my_user[my_user] @ db-1.example [10.0.0.5]  Id:     3\n",
        "# User@Host: [root] @ localhost [10.0.0.5]\n" } do
        local m = decode("mysql", head .. TIMES .. STAMP .. "SELECT 1;")
        equal({ m and m.Hostname, m and fields(m) }, { "10.0.0.5", EXPECTED }, head)
    end
    local m = decode("mysql", HEAD .. "# Thread_id: 9  Schema: a\n" .. string.sub(TIMES, 1, -2)
        .. " Rows_affected: 0 Bytes_sent: 7\n# Tmp_tables: 0\n" .. STAMP .. "SELECT 1;")
    equal(fields(m), EXPECTED)
end)

test("what is no record fails", function()
    for _, text in ipairs { "x", HEAD .. TIMES .. "SELECT 1;", HEAD .. TIMES .. STAMP .. "SELECT 1",
        "# User@Host: app[app] @ h []\n" .. TIMES .. STAMP .. "SELECT 1;" } do
        equal({ decode("mysql", text) }, { nil, "Failed parsing:  payload: " .. text })
    end
end)

test("long statements are cut", function()
    local function cut(n)
        return decode("mysql", HEAD .. TIMES .. STAMP .. "SELECT 1;", { truncate_sql = n }).Payload
    end
    equal({ cut(6), cut(8), cut(9), cut(10), cut(0), cut(-1), cut(-3) },
        { "SELECT...", "SELECT 1...", "SELECT 1;", "SELECT 1;", "...", "SELECT 1;...", "SELECT ..." })
end)

local THREAD = "# Thread_id: 110804  Schema: weave0  QC_hit: No\n"
local PLAN = "# Full_scan: Yes  Full_join: No  Tmp_table: Yes  Tmp_table_on_disk: No\n"
    .. "# Filesort: Yes  Filesort_on_disk: No  Merge_passes: 2\n"

test("a record of MariaDB", function()
    local m = decode("mariadb", HEAD .. THREAD .. TIMES .. PLAN .. STAMP .. "SELECT 1;")
    equal({ m.Timestamp, m.Hostname, m.Payload, m.Type },
        { 1399500744000000000, "10.0.0.5", "SELECT 1;", "mariadb.slow-query" })
    equal(fields(m), { Query_time = 2.5, Lock_time = 5e-05, Rows_sent = 3, Rows_examined = 9, Thread_id = 110804,
        Schema = "weave0", QC_hit = "No", Full_scan = "Yes", Full_join = "No", Tmp_table = "Yes",
        Tmp_table_on_disk = "No", Filesort = "Yes", Filesort_on_disk = "No", Merge_passes = 2 })
    m = decode("mariadb", HEAD .. THREAD .. TIMES .. "# Rows_affected: 0  Bytes_sent: 7\n" .. STAMP .. "SELECT 1;")
    equal({ fields(m).Schema, fields(m).Full_scan }, { "weave0" })
    equal(decode("mariadb", HEAD .. TIMES .. STAMP .. "SELECT 1;"), nil, "without its thread")
    equal(decode("mariadb", HEAD .. THREAD .. TIMES .. STAMP .. "SELECT 1;", { truncate_sql = 2 }).Payload, "SE...")
end)

test("records without a user", function()
    local mysql = harness.load("x", {}, { source = [[mysql = require "mysql"]] }).env.mysql
    local m = mysql.short_slow_query_grammar:match(TIMES .. STAMP .. "SELECT 1;")
    equal(m, { Timestamp = "1399500744000000000", Payload = "SELECT 1;", Fields = {
        Query_time = { value = 2.5, representation = "s" }, Lock_time = { value = 5e-05, representation = "s" },
        Rows_sent = 3, Rows_examined = 9 } })
    m = mysql.mariadb_short_slow_query_grammar:match(THREAD .. TIMES .. PLAN .. STAMP .. "SELECT 1;")
    equal({ m.Fields.Thread_id, m.Fields.Merge_passes, m.Hostname }, { 110804, 2 })
end)

harness.finish()
