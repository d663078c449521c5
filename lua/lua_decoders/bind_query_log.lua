-- Decodes the query log of the name server BIND.
--
-- Configuration ([NAME.config]):
--   type  string, none     Type of the messages; without it the input's Type stays
--   tz    string, "UTC"    applied by the host: the zone of the log, which names none
--
--   [BindQueryLog]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/bind_query_log.lua"
--     [BindQueryLog.config]
--     type = "bind.query"
--
-- Message: Timestamp, Payload (the line), and the fields Timestamp (DOUBLE, ns), ClientIP, ServerRespondingIP (with
-- representation "ipv4" or "ipv6"), ClientEphemeralPort, FullQuery, QueryName, QueryDomain, RecordClass, RecordType and
-- QueryFlags (phrases). A line that does not match fails with "Failed to parse the BIND query log line.".

local l = require "lpeg"
local bind = require "bind"

local read_message, inject_message, pcall = read_message, inject_message, pcall

local grammar = l.Ct(bind.query_log_grammar)

-- Every message goes out through this one table.
local msg = { Timestamp = nil, Type = read_config("type"), Payload = nil, Fields = nil }

function process_message()
    local line = read_message("Payload")
    local fields = grammar:match(line)
    if not fields then return -1, "Failed to parse the BIND query log line." end

    msg.Timestamp = fields.Timestamp
    msg.Payload = line
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
