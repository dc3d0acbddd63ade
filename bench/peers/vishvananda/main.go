// The `links` suite by github.com/vishvananda/netlink (Debian's package, GOPATH mode).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
)

const getLinks = 100

type work struct {
	handle *netlink.Handle
	count  int
	kind   string
	helper string
}

type result struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Check string  `json:"check"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vishvananda:", err)
		os.Exit(1)
	}
}

func (w work) link(name string) netlink.Link {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	switch w.kind {
	case "ifb":
		return &netlink.Ifb{LinkAttrs: attributes}
	case "bridge":
		return &netlink.Bridge{LinkAttrs: attributes}
	}
	must(fmt.Errorf("kind %s", w.kind))
	return nil
}

func (w work) createDelete() {
	for i := 0; i < w.count; i++ {
		link := w.link("one") // LinkAdd fills in the index, LinkDel uses it
		must(w.handle.LinkAdd(link))
		must(w.handle.LinkDel(link))
	}
}

func (w work) get() string {
	sum := 0
	for i := 0; i < w.count; i++ {
		link, err := w.handle.LinkByName("get" + strconv.Itoa(i%getLinks))
		must(err)
		if i < getLinks {
			sum += link.Attrs().Index
		}
	}
	return fmt.Sprintf("indexes=%d", sum)
}

// The library has no batch, and one handle serves one request at a time.
func (w work) createBatch() {
	for i := 0; i < w.count; i++ {
		must(w.handle.LinkAdd(w.link("batch" + strconv.Itoa(i))))
	}
}

type row struct {
	name          string
	index, master int
	state         netlink.LinkOperState
	mac           []byte
}

func (w work) dump() []row {
	var rows []row
	for i := 0; i < w.count; i++ {
		links, err := w.handle.LinkList()
		must(err)
		rows = make([]row, 0, len(links))
		for _, link := range links {
			a := link.Attrs()
			rows = append(rows, row{a.Name, a.Index, a.MasterIndex, a.OperState, a.HardwareAddr})
		}
	}
	return rows
}

func digest(rows []row) string {
	names, indexes, states, masters, mac := 0, 0, 0, 0, [6]byte{}
	for _, r := range rows {
		names += len(r.name)
		indexes += r.index
		states += int(r.state)
		masters += r.master
		for b := range r.mac {
			mac[b] ^= r.mac[b]
		}
	}
	return fmt.Sprintf("links=%d names=%d indexes=%d states=%d masters=%d mac=%x", len(rows), names, indexes, states, masters, mac)
}

// One run of the workload; the check is made after the clock has stopped.
func (w work) run(workload string) result {
	start := time.Now()
	rate := func() float64 { return float64(w.count) / time.Since(start).Seconds() }
	switch workload {
	case "create-delete":
		w.createDelete()
		return result{rate(), "operations/s", ""}
	case "get":
		check := w.get()
		return result{rate(), "requests/s", check}
	case "create-batch":
		w.createBatch()
		return result{rate(), "links/s", ""}
	case "dump":
		rows := w.dump()
		perDump := time.Since(start).Seconds() * 1000 / float64(w.count)
		return result{perDump, "ms", digest(rows)}
	}
	must(fmt.Errorf("no workload %s", workload))
	return result{}
}

// Untimed runs before the timed one.
const warmUps = 3

func main() {
	if len(os.Args) == 5 && os.Args[1] == "provision" {
		provision(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	if len(os.Args) != 5 {
		must(fmt.Errorf("usage: <workload> <count> <kind> <helper>"))
	}
	count, err := strconv.Atoi(os.Args[2])
	must(err)
	handle, err := netlink.NewHandle()
	must(err)
	w := work{handle, count, os.Args[3], os.Args[4]}
	for i := 0; i < warmUps; i++ {
		w.run(os.Args[1])
		if os.Args[1] == "create-batch" {
			must(exec.Command(w.helper, "clear").Run())
		}
	}
	must(json.NewEncoder(os.Stdout).Encode(w.run(os.Args[1])))
}
