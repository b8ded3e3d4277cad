package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/go-kratos/kratos/v3/registry"
)

// Kratos' records in Consul: an endpoint is a tagged address, the version a tag; a TTL check that is passed every 10 seconds and a TCP check of each endpoint.
type consulRegistry struct {
	client *api.Client
	mutex  sync.Mutex
	stops  map[string]context.CancelFunc
}

func openConsul(address string) (Registry, error) {
	client, err := api.NewClient(&api.Config{Address: address})
	if err != nil {
		return nil, err
	}
	return &consulRegistry{client: client, stops: map[string]context.CancelFunc{}}, nil
}

func (r *consulRegistry) Register(ctx context.Context, instance *registry.ServiceInstance) error {
	service := &api.AgentServiceRegistration{
		ID: instance.ID, Name: instance.Name, Meta: instance.Metadata,
		Tags:            []string{"version=" + instance.Version},
		TaggedAddresses: map[string]api.ServiceAddress{},
	}
	for index, text := range instance.Endpoints {
		endpoint, err := url.Parse(text)
		if err != nil {
			return err
		}
		port, err := strconv.Atoi(endpoint.Port())
		if err != nil {
			return err
		}
		service.TaggedAddresses[endpoint.Scheme] = api.ServiceAddress{Address: text, Port: port}
		if index == 0 {
			service.Address, service.Port = endpoint.Hostname(), port
		}
		service.Checks = append(service.Checks, &api.AgentServiceCheck{
			TCP: net.JoinHostPort(endpoint.Hostname(), endpoint.Port()), Interval: "10s", Timeout: "5s", DeregisterCriticalServiceAfter: "600s",
		})
	}
	check := "service:" + instance.ID
	service.Checks = append(service.Checks, &api.AgentServiceCheck{CheckID: check, TTL: "20s", DeregisterCriticalServiceAfter: "600s"})
	if err := r.client.Agent().ServiceRegisterOpts(service, api.ServiceRegisterOpts{}.WithContext(ctx)); err != nil {
		return err
	}
	pass := func() error { return r.client.Agent().UpdateTTL(check, "pass", api.HealthPassing) }
	if err := pass(); err != nil {
		return err
	}
	alive, stop := context.WithCancel(context.Background())
	go func() {
		ticker := time.NewTicker(10 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-alive.Done():
				return
			case <-ticker.C:
				_ = pass()
			}
		}
	}()
	r.mutex.Lock()
	r.stops[instance.ID] = stop
	r.mutex.Unlock()
	return nil
}

func (r *consulRegistry) Deregister(ctx context.Context, instance *registry.ServiceInstance) error {
	r.mutex.Lock()
	if stop := r.stops[instance.ID]; stop != nil {
		stop()
	}
	r.mutex.Unlock()
	return r.client.Agent().ServiceDeregisterOpts(instance.ID, (&api.QueryOptions{}).WithContext(ctx))
}

func (r *consulRegistry) query(ctx context.Context, name string, index uint64) ([]*registry.ServiceInstance, uint64, error) {
	options := &api.QueryOptions{WaitIndex: index, WaitTime: 55 * time.Second}
	entries, meta, err := r.client.Health().Service(name, "", true, options.WithContext(ctx))
	if err != nil {
		return nil, index, err
	}
	list := []*registry.ServiceInstance{}
	for _, entry := range entries {
		instance := &registry.ServiceInstance{ID: entry.Service.ID, Name: entry.Service.Service, Metadata: entry.Service.Meta}
		for _, tag := range entry.Service.Tags {
			if version, ok := strings.CutPrefix(tag, "version="); ok {
				instance.Version = version
			}
		}
		for scheme, address := range entry.Service.TaggedAddresses {
			if !strings.HasPrefix(scheme, "lan_") && !strings.HasPrefix(scheme, "wan_") {
				instance.Endpoints = append(instance.Endpoints, address.Address)
			}
		}
		list = append(list, instance)
	}
	return list, meta.LastIndex, nil
}

func (r *consulRegistry) GetService(ctx context.Context, name string) ([]*registry.ServiceInstance, error) {
	list, _, err := r.query(ctx, name, 0)
	if err == nil && len(list) == 0 {
		return nil, errors.New("no instance of " + name)
	}
	return list, err
}

// As Kratos watches: once at the start, then every second a query that waits for what comes after the last answer, ten seconds at most.
func (r *consulRegistry) Watch(ctx context.Context, name string) (registry.Watcher, error) {
	w := newWatcher(ctx)
	list, index, err := r.query(ctx, name, 0)
	if err != nil {
		w.cancel()
		return nil, err
	}
	if len(list) > 0 {
		w.offer(list)
	}
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-w.ctx.Done():
				return
			case <-ticker.C:
			}
			limited, cancel := context.WithTimeout(w.ctx, 10*time.Second)
			list, next, err := r.query(limited, name, index)
			cancel()
			if err == nil && next != index && len(list) > 0 {
				w.offer(list)
			}
			index = next
		}
	}()
	return w, nil
}
