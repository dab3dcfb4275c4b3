// The lab's vCenter: VMware's simulator (govmomi/simulator, what the program vcsim runs) as a library.
//
// `go install …/vcsim@VERSION` no longer works: the command's folder is a Go module of its own with a
// replace directive. So this program starts the same simulator, pinned by go.sum, and sets what the lab
// needs and vcsim's flags cannot: a password that never stands on a command line, hosts large enough for
// the site's machines, the capacity of the datastores, tasks that take time.
package main

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	gigabyte   = int64(1) << 30
	apiVersion = "9.0.0.0" // the simulator says 6.5 unless told; its objects are of this version
)

type settings struct {
	listen, username, certificate, key, taskDelay *string
	datastores, capacity, hosts, cpus, memory     *int
}

func flags() settings {
	s := settings{
		listen:      flag.String("listen", "127.0.0.1:8989", "address and port"),
		username:    flag.String("username", "", "the only account; its password is the first line of stdin"),
		certificate: flag.String("certificate", "", "PEM file of the TLS certificate"),
		key:         flag.String("key", "", "PEM file of its key"),
		taskDelay:   flag.String("task-delay", "", "milliseconds by task, e.g. CloneVm:5000,PowerOn:200"),
		datastores:  flag.Int("datastores", 3, "number of datastores"),
		capacity:    flag.Int("capacity-gb", 2048, "capacity of each datastore"),
		hosts:       flag.Int("hosts", 3, "hosts of the cluster"),
		cpus:        flag.Int("host-cpus", 64, "logical CPUs of each host"),
		memory:      flag.Int("host-memory-gb", 512, "memory of each host"),
	}
	flag.Parse()
	return s
}

// delays makes tasks slow; without the lock held meanwhile, so that others can look.
func delays(text string) error {
	if text == "" {
		return nil
	}
	simulator.TaskDelay.MethodDelay = map[string]int{"LockHandoff": 0}
	for _, part := range strings.Split(text, ",") {
		name, value, found := strings.Cut(part, ":")
		milliseconds, err := strconv.Atoi(value)
		if !found || err != nil {
			return fmt.Errorf("-task-delay: %q is not NAME:MILLISECONDS", part)
		}
		simulator.TaskDelay.MethodDelay[name] = milliseconds
	}
	return nil
}

func model(s settings) (*simulator.Model, error) {
	hardware := esx.HostSystem.Summary.Hardware
	hardware.NumCpuCores = int16(*s.cpus)
	hardware.NumCpuThreads = int16(*s.cpus)
	hardware.MemorySize = int64(*s.memory) * gigabyte
	m := simulator.VPX()
	m.ServiceContent.About.ApiVersion = apiVersion
	m.Datastore = *s.datastores
	m.ClusterHost = *s.hosts
	m.Host = 0
	m.Machine = 0
	if err := m.Create(); err != nil {
		return nil, err
	}
	m.Map().AddHandler(complete{})
	for _, entity := range m.Map().All("Datastore") {
		store := entity.(*simulator.Datastore)
		store.Summary.Capacity = int64(*s.capacity) * gigabyte
		store.Summary.FreeSpace = store.Summary.Capacity
		store.Info.GetDatastoreInfo().FreeSpace = store.Summary.FreeSpace
	}
	return m, nil
}

// complete fills in what a real vCenter always says of a machine. The simulator leaves it empty, and
// pyvmomi then can't read a machine's `runtime` or `summary` as a whole.
type complete struct{}

func (complete) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "xjops", Value: "complete"}
}

func (complete) PutObject(_ *simulator.Context, object mo.Reference) {
	machine, ok := object.(*simulator.VirtualMachine)
	if !ok {
		return
	}
	for _, runtime := range []*types.VirtualMachineRuntimeInfo{&machine.Runtime, &machine.Summary.Runtime} {
		runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
		runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
	}
}

func (complete) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}

func (complete) RemoveObject(*simulator.Context, types.ManagedObjectReference) {}

func run() error {
	s := flags()
	if err := delays(*s.taskDelay); err != nil {
		return err
	}
	password, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || *s.username == "" {
		return fmt.Errorf("-username and a password line on stdin are needed: anyone could log in without")
	}
	pair, err := tls.LoadX509KeyPair(*s.certificate, *s.key)
	if err != nil {
		return err
	}
	m, err := model(s)
	if err != nil {
		return err
	}
	defer m.Remove()
	m.Service.RegisterEndpoints = true
	m.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	m.Service.Listen = &url.URL{
		Host: *s.listen,
		User: url.UserPassword(*s.username, strings.TrimRight(password, "\r\n")),
	}
	server := m.Service.NewServer()
	defer server.Close()
	log.Printf("listening on %s", server.URL.Host)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
