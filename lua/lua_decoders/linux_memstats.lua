-- Decodes /proc/meminfo, the memory statistics of a Linux system.
--
-- Configuration ([NAME.config]):
--   payload_keep  bool, false   keeps the text as Payload
--
--   [MemStats]
--   type = "FilePollingInput"
--   ticker_interval = 10
--   file_path = "/proc/meminfo"
--   decoder = "MemStatsDecoder"
--
--   [MemStatsDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/linux_memstats.lua"
--
-- Message: Type "stats.memstats"; a DOUBLE field for each line, named as there ("Active(anon)"), with representation
-- "kB" or none, and FilePath if the input gave one. Text of another form fails with status -1.

local l = require "lpeg"

local P, R, S, C, Cf, Cg, Ct = l.P, l.R, l.S, l.C, l.Cf, l.Cg, l.Ct
local read_message, inject_message, pcall = read_message, inject_message, pcall

local space = S " \t"
local name = C((1 - S ":\n") ^ 1)
local value = Ct(Cg(R "09" ^ 1 / tonumber, "value") * space ^ 0 * Cg(C(P "kB" ^ -1), "representation"))
local line = Cg(name * ":" * space ^ 0 * value) * space ^ 0 * "\n"

local function set(fields, key, one)
    fields[key] = one
    return fields
end

local grammar = Cf(Ct "" * line ^ 1, set)

local payload_keep = read_config("payload_keep")

-- Every message goes out through this one table.
local msg = { Type = "stats.memstats", Payload = nil, Fields = nil }

function process_message()
    local payload = read_message("Payload")
    local fields = grammar:match(payload)
    if not fields then return -1 end

    fields.FilePath = read_message("Fields[FilePath]")
    if payload_keep then msg.Payload = payload end
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
