package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/go-kratos/kratos/v3/registry"
)

// Kratos' records in ZooKeeper: /microservices/NAME/ID, an ephemeral node below persistent ones, open to all.
type zookeeperRegistry struct{ conn *zk.Conn }

type silent struct{}

func (silent) Printf(string, ...any) {}

func openZookeeper(address string) (Registry, error) {
	conn, events, err := zk.Connect([]string{address}, 6*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		return nil, err
	}
	late := time.After(20 * time.Second)
	for {
		select {
		case event := <-events:
			if event.State == zk.StateHasSession {
				return &zookeeperRegistry{conn}, nil
			}
		case <-late:
			return nil, errors.New("no session with ZooKeeper")
		}
	}
}

func (r *zookeeperRegistry) ensure(path string, data []byte, flags int32) error {
	_, err := r.conn.Create(path, data, flags, zk.WorldACL(zk.PermAll))
	if errors.Is(err, zk.ErrNodeExists) {
		return nil
	}
	return err
}

func (r *zookeeperRegistry) Register(_ context.Context, instance *registry.ServiceInstance) error {
	value, err := encode(instance)
	if err != nil {
		return err
	}
	parent := root + "/" + instance.Name
	for _, path := range []string{root, parent} {
		if err := r.ensure(path, []byte(""), 0); err != nil {
			return err
		}
	}
	path := parent + "/" + instance.ID
	// one that an earlier session has left
	if there, stat, err := r.conn.Exists(path); err != nil {
		return err
	} else if there {
		if err := r.conn.Delete(path, stat.Version); err != nil && !errors.Is(err, zk.ErrNoNode) {
			return err
		}
	}
	return r.ensure(path, value, zk.FlagEphemeral)
}

func (r *zookeeperRegistry) Deregister(_ context.Context, instance *registry.ServiceInstance) error {
	err := r.conn.Delete(root+"/"+instance.Name+"/"+instance.ID, -1)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

func (r *zookeeperRegistry) read(name string, children []string) ([]*registry.ServiceInstance, error) {
	list := []*registry.ServiceInstance{}
	for _, id := range children {
		value, _, err := r.conn.Get(root + "/" + name + "/" + id)
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		instance, err := decode(value)
		if err != nil {
			return nil, err
		}
		if instance.Name == name {
			list = append(list, instance)
		}
	}
	return list, nil
}

func (r *zookeeperRegistry) GetService(_ context.Context, name string) ([]*registry.ServiceInstance, error) {
	children, _, err := r.conn.Children(root + "/" + name)
	if err != nil {
		return nil, err
	}
	return r.read(name, children)
}

func (r *zookeeperRegistry) Watch(ctx context.Context, name string) (registry.Watcher, error) {
	w := newWatcher(ctx)
	go func() {
		for w.ctx.Err() == nil {
			children, _, changed, err := r.conn.ChildrenW(root + "/" + name)
			if errors.Is(err, zk.ErrNoNode) {
				_, _, changed, err = r.conn.ExistsW(root + "/" + name)
			}
			if err == nil {
				var list []*registry.ServiceInstance
				if list, err = r.read(name, children); err == nil {
					w.offer(list)
				}
			}
			if err != nil {
				time.Sleep(200 * time.Millisecond)
				continue
			}
			select {
			case <-w.ctx.Done():
			case <-changed:
			}
		}
	}()
	return w, nil
}
