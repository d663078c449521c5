-- Grammars (LPeg) for the slow query logs of MySQL and MariaDB, one record each.
--
-- Here: slow_query_grammar, mariadb_slow_query_grammar, and the same with the short_ prefix for records without the line
-- "# User@Host". Not here: finding the records in the log (a splitter does that).
--
-- Configuration: none. Use:
--   local msg = require "mysql".slow_query_grammar:match(read_message("Payload"))
--   -- nil, or {Hostname =, Timestamp =, Payload = SQL, Fields = {Query_time = {value =, representation = "s"}, ..}}

local l = require "lpeg"

local P, R, S, C, Cc, Cg, Ct = l.P, l.R, l.S, l.C, l.Cc, l.Cg, l.Ct
local tonumber = tonumber

local M = {}

local space, digits = S " \t\n\v\f\r", R "09" ^ 1
local gap, rest_of_line = space ^ 1, (1 - P "\n") ^ 0 * "\n"
local integer = digits / tonumber
local seconds = Ct(Cg(digits * ("." * digits) ^ -1 / tonumber, "value") * Cg(Cc "s", "representation"))

-- The names are what MySQL allows in them, quotes left out: anything but brackets, white space and "@".
local name = (1 - (space + S "[]@")) ^ 0
local user_host = "# User@Host: " * name * "[" * (1 - S "]\n") ^ 0 * "]" * gap * "@" * gap * name * space ^ 0
    * "[" * Cg(C((1 - S "]\n") ^ 1), "Hostname") * "]" * rest_of_line

local time_line = "# Time: " * rest_of_line
local use_line = P "use " * rest_of_line
local administrator_line = "# administrator command: " * rest_of_line

local function field(title, pattern)
    return P(title) * ": " * Cg(pattern, title)
end

local times = "# " * field("Query_time", seconds) * gap * field("Lock_time", seconds) * gap
    * field("Rows_sent", integer) * gap * field("Rows_examined", integer)
local word = C((1 - space) ^ 0)
local yes_no = C(P "Yes" + "No")
local thread = "# " * field("Thread_id", integer) * gap * field("Schema", word) * gap * field("QC_hit", yes_no)
    * rest_of_line
local plan = "# " * field("Full_scan", yes_no) * gap * field("Full_join", yes_no) * gap * field("Tmp_table", yes_no)
    * gap * field("Tmp_table_on_disk", yes_no) * rest_of_line
    * "# " * field("Filesort", yes_no) * gap * field("Filesort_on_disk", yes_no) * gap * field("Merge_passes", integer)
    * rest_of_line

local insert_ids = ("last_insert_id=" * digits * ",") ^ -1 * ("insert_id=" * digits * ",") ^ -1
local timestamp = "SET " * insert_ids * "timestamp=" * Cg(digits / "%0000000000", "Timestamp") * ";" * rest_of_line
local statement_end = ";" * ("\n" + -P(1))
local statement = Cg(C((1 - statement_end) ^ 0 * statement_end), "Payload")

local function record(head, fields)
    return Ct(head * Cg(Ct(fields), "Fields") * use_line ^ 0 * timestamp * administrator_line ^ 0 * statement)
end

-- Newer servers and Percona's add lines and columns of their own, which have no field here.
local other_line = P "# " - (P "# Query_time: " + "# Full_scan: " + "# administrator command: ")
local other_lines = (other_line * rest_of_line) ^ 0

local long_head = time_line ^ 0 * user_host
local mysql_fields = other_lines * times * rest_of_line * other_lines
local mariadb_fields = thread * times * rest_of_line * other_lines * (plan * other_lines) ^ -1

M.slow_query_grammar = record(long_head, mysql_fields)
M.short_slow_query_grammar = record(P(true), mysql_fields)
M.mariadb_slow_query_grammar = record(long_head, mariadb_fields)
M.mariadb_short_slow_query_grammar = record(P(true), mariadb_fields)

return M
