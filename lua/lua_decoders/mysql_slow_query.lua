-- Decodes the records of MySQL's slow query log.
--
-- Configuration ([NAME.config]):
--   truncate_sql  number, none   longer SQL is cut to that many bytes, with "..." behind
--   tz            string, "UTC"  leave it: the log's time is in seconds since the epoch
--
--   [MySqlSlowQueryLog]
--   type = "LogstreamerInput"
--   log_directory = "/var/log/mysql"
--   file_match = 'mysql-slow\.log'
--   splitter = "MySqlSlowQuerySplitter"
--   decoder = "MySqlSlowQueryDecoder"
--
--   [MySqlSlowQuerySplitter]
--   type = "RegexSplitter"
--   delimiter = '\n(# User@Host:)'
--   delimiter_eol = false
--
--   [MySqlSlowQueryDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/mysql_slow_query.lua"
--     [MySqlSlowQueryDecoder.config]
--     truncate_sql = 64
--
-- Message: Type "mysql.slow-query", Timestamp, Hostname (the client's address), Payload (the SQL), and the fields
-- Query_time, Lock_time (DOUBLE, representation "s"), Rows_sent, Rows_examined (DOUBLE). A record that does not
-- match fails with status -1.

local string = require "string"
local grammar = require "mysql".slow_query_grammar

local sub = string.sub
local read_message, inject_message, pcall = read_message, inject_message, pcall

local truncate_sql = read_config("truncate_sql")

function process_message()
    local msg = grammar:match(read_message("Payload"))
    if not msg then return -1 end

    local sql = msg.Payload
    if truncate_sql and #sql > truncate_sql then msg.Payload = sub(sql, 1, truncate_sql) .. "..." end
    msg.Type = "mysql.slow-query"
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
