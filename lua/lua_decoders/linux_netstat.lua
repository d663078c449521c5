-- Decodes /proc/net/netstat and /proc/net/snmp, the network counters of a Linux system.
--
-- Configuration: none (payload_keep is accepted and has no effect, as in Heka).
--
--   [NetStat]
--   type = "FilePollingInput"
--   ticker_interval = 5
--   file_path = "/proc/net/netstat"
--   decoder = "NetStatDecoder"
--
--   [NetStatDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/linux_netstat.lua"
--
-- Message: Type "stats.netstat"; an INTEGER field Protocol_Name for each counter ("TcpExt_SyncookiesSent"), and FilePath
-- if the input gave one. Text of another form fails with "Failed to match grammar".

local l = require "lpeg"

local P, R, S, C, Cg, Ct = l.P, l.R, l.S, l.C, l.Cg, l.Ct
local read_message, inject_message, pcall = read_message, inject_message, pcall

local space = S " \t"
local name = C((1 - S ": \t\n") ^ 1)
local number = P "-" ^ -1 * R "09" ^ 1 / tonumber

-- Two lines with the same beginning, one with the names and one with the values.
local pair = Ct(Cg(name, "protocol") * ":" * Cg(Ct((space ^ 1 * name) ^ 1), "names") * space ^ 0 * "\n"
    * name * ":" * Cg(Ct((space ^ 1 * number) ^ 1), "values") * space ^ 0 * "\n")
local grammar = Ct(pair ^ 1)

-- Every message goes out through this one table.
local msg = { Type = "stats.netstat", Fields = nil }

function process_message()
    local pairs_of_lines = grammar:match(read_message("Payload"))
    if not pairs_of_lines then return -1, "Failed to match grammar" end

    local fields = { FilePath = read_message("Fields[FilePath]") }
    for i = 1, #pairs_of_lines do
        local one = pairs_of_lines[i]
        local prefix, names, values = one.protocol .. "_", one.names, one.values
        for k = 1, #names do
            local value = values[k]
            if value then fields[prefix .. names[k]] = { value = value, value_type = 2 } end
        end
    end
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
