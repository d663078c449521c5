-- Looks for anomalies in circular buffers.
--
-- Configuration: a text of calls, for each graph that is watched; several may name the same graph. A quotation mark in
-- the name is written twice.
--   roc("name", column, win, hwin, sd, loss_of_data, start_of_data)
--       rate of change: the mean of the newest `win` rows against the mean of the `win` rows before, an anomaly when they
--       differ by more than `sd` standard deviations of the `hwin` rows before those (0: all there are). true for
--       loss_of_data and start_of_data also reports data that stop or begin.
--   mww("name", column, win, nwin, pvalue, decreasing|increasing|any)
--       Mann-Whitney-Wilcoxon: the newest window of `win` rows against each of the windows before it, nwin in all; an
--       anomaly when more than a quarter of them differ with a probability below `pvalue`.
--   mww_nonparametric("name", column, win, nwin, pstat)
--       the same windows; the mean of the normalised U statistic lies beyond `pstat`, 0 (decreasing) to 1 (increasing).
--
--   anomaly_config = 'roc("HTTP Status", 2, 15, 0, 1.5, true, false) mww_nonparametric("HTTP Status", 5, 15, 10, 0.8)'
--
-- Use, in a filter:
--   local cfg = anomaly.parse_config(read_config("anomaly_config"))
--   local text, annotations = anomaly.detect(ns, "HTTP Status", cbuf, cfg)
-- The newest row is never looked at, as it is not full yet. A configuration that does not fit the buffer raises.

local l = require "lpeg"
local math = require "math"
local string = require "string"
local table = require "table"
local annotation = require "annotation"

local P, R, S, C, Cc, Cg, Cs, Ct = l.P, l.R, l.S, l.C, l.Cc, l.Cg, l.Cs, l.Ct
local abs, concat, format = math.abs, table.concat, string.format
local error, ipairs, tonumber = error, ipairs, tonumber

local M = {}
local NAN = 0 / 0

-- Configuration ---------------------------------------------------------------------------------------------------

local digits, space = R "09" ^ 1, S " \t\n\v\f\r" ^ 0
local comma = space * "," * space
local name = P '"' * Cg(Cs((P '""' / '"' + (1 - P '"')) ^ 0), "name") * '"'
local integer = digits / tonumber
local number = digits * ("." * digits) ^ -1 / tonumber
local fraction = P "0" * ("." * digits) ^ -1 / tonumber
local boolean = P "true" * Cc(true) + P "false" * Cc(false)
local trend = C(P "decreasing" + "increasing" + "any")

local function argument(key, pattern)
    return comma * Cg(pattern, key)
end

local function call(algorithm, arguments)
    return Ct(P(algorithm) * space * "(" * space * Cg(Cc(algorithm), "algorithm") * name * argument("col", integer)
        * argument("win", integer) * arguments * space * ")")
end

local calls = call("roc", argument("hwin", integer) * argument("sd", number) * argument("loss_of_data", boolean)
        * argument("start_of_data", boolean))
    + call("mww_nonparametric", argument("nwin", integer) * argument("pstat", fraction))
    + call("mww", argument("nwin", integer) * argument("pvalue", fraction) * argument("trend", trend))
local grammar = Ct(space * (calls * space) ^ 1) * -1

--- The configuration of each graph by its name; nil for nil. Raises on text that it does not understand.
function M.parse_config(text)
    if not text then return nil end
    local list = grammar:match(text)
    if not list then error("could not parse the anomaly_config", 2) end
    local out = {}
    for _, one in ipairs(list) do
        local same = out[one.name]
        if not same then
            same = {}
            out[one.name] = same
        end
        same[#same + 1] = one
    end
    return out
end

-- Algorithms ------------------------------------------------------------------------------------------------------

-- Each returns the text of an anomaly or nil; `newest` is the time of the newest row, `row` its duration, in ns.
local algorithms = {}

function algorithms.roc(graph, cbuf, cfg, newest, row, rows)
    local win, hwin, col = cfg.win, cfg.hwin, cfg.col
    if 3 * win >= rows or (hwin > 0 and hwin < win) then
        error(format("%s - algorithm: roc col: %d msg: win=%d hwin=%d arguments out of range (rows=%d)", graph, col,
            win, hwin, rows), 0)
    end
    local current_start = newest - win * row
    local previous_start = current_start - win * row
    local history_end = previous_start - row
    local history_start = hwin == 0 and newest - (rows - 1) * row or previous_start - hwin * row

    local current, current_count = cbuf:compute("avg", col, current_start, newest - row)
    local previous, previous_count = cbuf:compute("avg", col, previous_start, current_start - row)
    if current_count == 0 then
        if cfg.loss_of_data and previous_count > 0 then return "no new data" end
    elseif previous_count == 0 then
        if cfg.start_of_data then return "unexpected data" end
    else
        local deviation, history_count = cbuf:compute("sd", col, history_start, history_end)
        if history_count > 0 and abs(current - previous) > deviation * cfg.sd then
            return format("detected anomaly, standard deviation exceeds %G", cfg.sd)
        end
    end
end

local function check_windows(graph, cfg, rows)
    if cfg.win * cfg.nwin >= rows then
        error(format("%s - algorithm: %s col: %d msg: arguments out of range", graph, cfg.algorithm, cfg.col), 0)
    end
end

function algorithms.mww(graph, cbuf, cfg, newest, row, rows)
    check_windows(graph, cfg, rows)
    local col, wanted = cfg.col, cfg.trend
    local window = cfg.win * row
    local start, stop = newest - window, newest - row
    local mean = wanted ~= "any" and cbuf:compute("avg", col, start, stop)
    local count = 0
    for other = start - window, newest - window * cfg.nwin + 1, -window do
        local other_end = other + window - row
        local u, p = cbuf:mannwhitneyu(col, start, stop, other, other_end)
        if u and p < cfg.pvalue then
            if not mean then
                count = count + 1
            else
                local other_mean = cbuf:compute("avg", col, other, other_end)
                if wanted == "decreasing" and other_mean > mean or wanted == "increasing" and other_mean < mean then
                    count = count + 1
                end
            end
        end
    end
    if count > cfg.nwin / 4 then
        return wanted == "any" and "detected anomaly" or format("detected anomaly, %s values", wanted)
    end
end

function algorithms.mww_nonparametric(graph, cbuf, cfg, newest, row, rows)
    check_windows(graph, cfg, rows)
    local col, win = cfg.col, cfg.win
    local window = win * row
    local start, stop = newest - window, newest - row
    local sum = 0
    for other = start - window, newest - window * cfg.nwin + 1, -window do
        local u = cbuf:mannwhitneyu(col, start, stop, other, other + window - row)
        if u then sum = sum + u / (win * win) - 0.5 end
    end
    local pstat = sum / (cfg.nwin - 1) + 0.5
    if cfg.pstat > 0.5 and pstat > cfg.pstat or cfg.pstat < 0.5 and pstat < cfg.pstat then
        return format("detected anomaly, pstat: %G", pstat)
    end
end

--- Runs what is configured for the graph `graph` over its buffer, once for each row that has become full.
--- Returns the texts, a line for each anomaly, and an array of annotations; nil if there is none.
function M.detect(ns, graph, cbuf, cfg)
    local list = cfg and cfg[graph]
    if not list then return nil end
    local rows, _, seconds_per_row = cbuf:get_configuration()
    local row = seconds_per_row * 1e9
    -- An empty value in a new row moves the buffer on; in the newest row it would wipe out what is there.
    if ns >= cbuf:current_time() + row then cbuf:add(ns, 1, NAN) end
    local newest = cbuf:current_time()

    local texts, annotations
    for _, one in ipairs(list) do
        if ns - (one.last_run or 0) >= row then
            one.last_run = newest < ns and newest or ns
            local text = algorithms[one.algorithm](graph, cbuf, one, newest, row, rows)
            if text then
                texts, annotations = texts or {}, annotations or {}
                texts[#texts + 1] = format("%s - algorithm: %s col: %d msg: %s", graph, one.algorithm, one.col, text)
                annotations[#annotations + 1] = annotation.create(newest, one.col, "A", text)
            end
        end
    end
    if not texts then return nil end
    return concat(texts, "\n"), annotations
end

return M
